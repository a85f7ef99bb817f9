"""The embedded server: look at it, stop it, delete it, let tools in that speak only TCP."""

import os
import sys

from invoke.context import Context

from tasks.reporting import task, until_ctrl_c
from testdb.postgres.embedded import server as embedded
from testdb.postgres.embedded.home import find_home
from testdb.postgres.embedded.listen import listen as listen_by_tcp
from testdb.postgres.embedded.purge import purge as purge_all
from testdb.postgres.environment import SERVER_URL_VARIABLE


@task
def status(_: Context) -> None:
    """Say whether the embedded server runs, and where it lives."""
    from rich.filesize import decimal

    home = find_home()
    socket, port = embedded.find_socket(home), embedded.find_tcp_port(home)
    print(f"state:  {f'running, its socket is in {socket}' if socket else 'stopped'}")
    if socket and port:
        print(f"port:   {port} on {embedded.LOOPBACK}, opened by `invoke server.listen`")
    if os.environ.get(SERVER_URL_VARIABLE):
        print(f"used:   no, {SERVER_URL_VARIABLE} names another server")
    print(f"data:   {home.data}")
    print(f"log:    {home.log}")
    print(f"disk:   {decimal(home.size_bytes())} in {home.path}")


@task
def stop(_: Context) -> None:
    """Stop the embedded server, whoever uses it."""
    print("Stopped." if embedded.stop() else "It does not run.")


@task(help={"force": "also if a database on it is kept, or if it does not start any more"})
def purge(_: Context, force: bool = False) -> None:
    """Stop the embedded server and delete its files.

    The next run makes new ones.
    """
    from rich.filesize import decimal

    print(f"Freed {decimal(purge_all(force=force))}.")


@task
def listen(_: Context) -> None:
    """Let tools in by TCP, by a password, until Ctrl-C."""
    with until_ctrl_c():
        listen_by_tcp(_show)


def _show(port: int, password: str) -> None:
    user, host = embedded.SUPERUSER, embedded.LOOPBACK
    print(f"host:      {host}")
    print(f"port:      {port}")
    print(f"user:      {user}")
    print(f"password:  {password}")
    print(f"url:       postgresql://{user}:{password}@{host}:{port}/postgres", flush=True)
    print("The embedded server listens there until Ctrl-C.", file=sys.stderr)
