"""cheroot, the server of CherryPy."""
import os

from cheroot.wsgi import Server

from wsgi import app

Server(("127.0.0.1", int(os.environ["PORT"])), app).start()
