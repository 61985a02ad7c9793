"""aiohttp."""
import os

from aiohttp import web


async def handle(_request):
    return web.json_response({"pid": os.getpid()})


application = web.Application()
application.add_routes([web.get("/", handle)])
web.run_app(application, host="127.0.0.1", port=int(os.environ["PORT"]))
