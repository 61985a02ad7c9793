"""Tornado."""
import asyncio
import os

import tornado.web


class Handler(tornado.web.RequestHandler):
    def get(self):
        self.write({"pid": os.getpid()})


async def main():
    tornado.web.Application([("/", Handler)]).listen(int(os.environ["PORT"]), "127.0.0.1")
    await asyncio.Event().wait()


asyncio.run(main())
