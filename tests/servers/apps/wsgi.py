"""A WSGI application."""
import os


def app(_environment, start_response):
    body = b'{"pid":%d}' % os.getpid()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


application = app
