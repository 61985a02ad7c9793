"""Python's http.server: one request at a time, or with a word after -- a thread for each."""
import http.server
import os
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b'{"pid":%d}' % os.getpid()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


threads = "threads" in sys.argv[1:]
server = http.server.ThreadingHTTPServer if threads else http.server.HTTPServer
server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
