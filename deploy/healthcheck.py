"""Health check of the image: request /health/live at the address in VIGILRY_BIND."""

import os
import socket
from http.client import HTTPConnection

bind = os.environ["VIGILRY_BIND"]
connection = HTTPConnection("127.0.0.1", timeout=2)
if bind.startswith("unix:"):
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(2)
    connection.sock.connect(bind.removeprefix("unix:"))
else:
    connection.port = int(bind.rpartition(":")[2])
connection.request("GET", "/health/live")
raise SystemExit(connection.getresponse().status != 200)
