"""The service as a child: `python -m testdb.processes.serve FD`, with a listening socket as FD.

`python -m testdb.processes.serve FD --reload` has a child of its own, in which the service starts
anew when its code changes.
"""

import multiprocessing
import socket
import sys

import uvicorn
from uvicorn.supervisors import ChangeReload

from testdb.adapter import PACKAGE, create_app, log_config
from testdb.postgres.server import open_server
from testdb.processes import child, reports
from testdb.processes.service import RELOAD


def main() -> None:
    """Serve on the inherited socket until SIGTERM, or until the parent dies."""
    reports.show_errors_in_short()
    child.end_with_parent()
    sockets = [socket.socket(fileno=int(sys.argv[1]))]
    if RELOAD in sys.argv:
        app, folders = "testdb.adapter:create_app", [str(PACKAGE)]
        config = uvicorn.Config(app, log_config=log_config(), reload=True, reload_dirs=folders)
        ChangeReload(config, target=_serve_until_reload, sockets=sockets).run()
    else:
        _serve(sockets)


def _serve_until_reload(sockets: list[socket.socket] | None) -> None:
    if reloader := multiprocessing.parent_process():
        child.end_with_parent(reloader.join)
    _serve(sockets or [])


def _serve(sockets: list[socket.socket]) -> None:
    config = uvicorn.Config(create_app(), log_config=log_config(), timeout_graceful_shutdown=3)
    with open_server():  # so that the guard knows it
        uvicorn.Server(config).run(sockets=sockets)


if __name__ == "__main__":
    main()
