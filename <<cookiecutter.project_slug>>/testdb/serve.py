"""The service as a child process: `python -m testdb.serve FD`, a listening socket handed over."""

import socket
import sys

import uvicorn

from testdb import child
from testdb.link import create_app


def main() -> None:
    """Serve on the inherited socket until SIGTERM, or until the parent dies."""
    child.end_with_parent()
    config = uvicorn.Config(create_app(), timeout_graceful_shutdown=3)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
