"""Keep a baked project's embedded server up until the input ends; print where its socket is."""

import sys

from testdb.postgres.embedded import server

with server.use() as socket:
    print(socket, flush=True)
    sys.stdin.read()
server.stop()
