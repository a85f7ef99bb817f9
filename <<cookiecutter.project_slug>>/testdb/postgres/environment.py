"""The environment says how we prove who we are, never where we connect to.

Importing testdb applies that to this process, and so to whatever it starts.
"""

import atexit
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import Final

SERVER_URL_VARIABLE: Final = "TESTDB_SERVER_URL"
NOWHERE: Final = "/testdb-gives-you-no-database-here"
"""The host of programs that are given no other: a socket's directory that nobody has."""
LEADS_NOWHERE: Final = {
    "PGHOST": NOWHERE,
    "PGHOSTADDR": "",
    "PGSERVICEFILE": os.devnull,
    "PGSYSCONFDIR": NOWHERE,
}
"""Set rather than unset, so that nothing that fills in what is missing leads elsewhere."""
_OF_LIBPQ: Final = re.compile("PG[A-Z]+")
_AUTHENTICATES: Final = re.compile(
    "PG(PASSWORD|PASSFILE|SSL[A-Z]*|GSS[A-Z]*|KRBSRVNAME|CHANNELBINDING|REQUIRE[A-Z]*)"
)

unchanged: Final = threading.RLock()
"""While somebody holds it, nobody changes the variables of this process.

libpq reads them while it connects, and Python runs other threads meanwhile. Before glibc 2.41 a
variable that one of these adds ends the process with a segmentation fault: see setenv(3).
"""


def _under_lock(change: Callable[..., None]) -> Callable[..., None]:
    def changed(*arguments: bytes) -> None:
        with unchanged:
            change(*arguments)

    return changed


# What os.environ calls.
vars(os)["putenv"] = _under_lock(os.putenv)
vars(os)["unsetenv"] = _under_lock(os.unsetenv)
os.register_at_fork(
    before=unchanged.acquire,
    after_in_parent=unchanged.release,
    after_in_child=unchanged.release,
)


def restrict() -> None:
    """Replace libpq's variables, but for those that authenticate us to an external server."""
    is_external = bool(os.environ.get(SERVER_URL_VARIABLE))
    with unchanged:  # threads may do this side by side
        for name in filter(_OF_LIBPQ.fullmatch, os.environ.keys() - LEADS_NOWHERE):
            if not (is_external and _AUTHENTICATES.fullmatch(name)):
                del os.environ[name]
        os.environ.update(LEADS_NOWHERE)


def hide_password(password: str, host: str, port: str, *, user: str) -> None:
    """Give a password to libpq, in this process and its children, and to nobody else.

    It goes into a passfile, as no variable may hold it: reports of tests print variables.
    """
    fields = (host, port, "*", user, password)
    line = ":".join(re.sub(r"[:\\]", r"\\\g<0>", field) for field in fields)
    os.environ["PGPASSFILE"] = _write_private_file(line)


def _write_private_file(text: str) -> str:
    """Write a file that only we can read and that goes when this process ends; returns its path."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("passfile", 0)  # in memory alone, so kill -9 leaves nothing
        os.fchmod(descriptor, 0o600)
        path = f"/proc/{os.getpid()}/fd/{descriptor}"
    else:
        descriptor, path = tempfile.mkstemp(prefix="testdb-")
        atexit.register(os.unlink, path)
    os.write(descriptor, text.encode())
    return path
