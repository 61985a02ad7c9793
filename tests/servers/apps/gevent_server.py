"""gevent's own WSGI server."""
import os

from gevent.pywsgi import WSGIServer

from wsgi import app

WSGIServer(("127.0.0.1", int(os.environ["PORT"])), app, log=None).serve_forever()
