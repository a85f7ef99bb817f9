"""Keep a baked project's embedded server up until the input ends; print where its socket is."""

import sys

from testdb import embedded

with embedded.running() as socket:
    print(socket, flush=True)
    sys.stdin.read()
embedded.stop()
