"""An ASGI application."""
import os


async def app(scope, _receive, send):
    if scope["type"] != "http":
        return
    body = b'{"pid":%d}' % os.getpid()
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
