"""eventlet's own WSGI server."""
import os

import eventlet
from eventlet import wsgi as server

from wsgi import app

server.server(eventlet.listen(("127.0.0.1", int(os.environ["PORT"]))), app, log_output=False)
