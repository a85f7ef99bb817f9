"""The embedded server: look at it, stop it."""

from invoke.context import Context
from invoke.tasks import task

from tasks.reporting import errors_as_exit
from testdb import embedded


@task
def status(_: Context) -> None:
    """Say whether the embedded server runs, and where it lives."""
    with errors_as_exit():
        place = embedded.home()
        socket = embedded.find_socket(place)
    print(f"state:  {f'running, its socket is in {socket}' if socket else 'stopped'}")
    print(f"data:   {place.data}")
    print(f"log:    {place.log}")


@task
def stop(_: Context) -> None:
    """Stop the embedded server, whoever uses it."""
    with errors_as_exit():
        stopped = embedded.stop()
    print("Stopped." if stopped else "It does not run.")
