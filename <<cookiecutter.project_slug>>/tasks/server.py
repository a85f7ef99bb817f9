"""The embedded server: look at it, stop it."""

from invoke.context import Context
from invoke.tasks import task

from tasks.reporting import errors_as_exit
from testdb.postgres.embedded import server as embedded
from testdb.postgres.embedded.home import find_home


@task
def status(_: Context) -> None:
    """Say whether the embedded server runs, and where it lives."""
    with errors_as_exit():
        home = find_home()
        socket = embedded.find_socket(home)
    print(f"state:  {f'running, its socket is in {socket}' if socket else 'stopped'}")
    print(f"data:   {home.data}")
    print(f"log:    {home.log}")


@task
def stop(_: Context) -> None:
    """Stop the embedded server, whoever uses it."""
    with errors_as_exit():
        stopped = embedded.stop()
    print("Stopped." if stopped else "It does not run.")
