"""The service as a child: `python -m testdb.processes.serve FD`, with a listening socket as FD."""

import socket
import sys

import uvicorn

from testdb.adapter import create_app, log_config
from testdb.postgres.server import open_server
from testdb.processes import child, reports


def main() -> None:
    """Serve on the inherited socket until SIGTERM, or until the parent dies."""
    reports.show_errors_in_short()
    child.end_with_parent()
    config = uvicorn.Config(create_app(), log_config=log_config(), timeout_graceful_shutdown=3)
    with open_server():  # so that the guard knows it
        uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
