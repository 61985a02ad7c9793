"""Twisted."""
import os

from twisted.internet import reactor
from twisted.web import resource, server


class Root(resource.Resource):
    isLeaf = True

    def render_GET(self, _request):
        return b'{"pid":%d}' % os.getpid()


reactor.listenTCP(int(os.environ["PORT"]), server.Site(Root()), interface="127.0.0.1")
reactor.run()
