"""Delete the embedded server's data and programs."""

import shutil

from testdb.identity.errors import RefusedError
from testdb.postgres.embedded import server
from testdb.postgres.embedded.home import Home, find_home


def purge(*, force: bool = False) -> int:
    """Stop the server and delete its data and programs; returns how many bytes were freed.

    Args:
        force: also if somebody keeps a database on it, or it does not start any more.

    Raises:
        RefusedError: somebody keeps a database on it.
        ServerError: somebody uses it now, or it does not start to be looked at.
    """
    home = find_home()
    with server.alone(home):
        if home.data.exists() and not force:
            _refuse_if_kept(home)
        server.stop()
        before = home.size_bytes()
        rubbish = home.path / "rubbish"
        shutil.rmtree(rubbish, ignore_errors=True)
        rubbish.mkdir()
        for path in home.path.iterdir():
            # Whoever waits for a lock has its file open: that must stay the right one.
            if path != rubbish and path.suffix != ".lock":
                path.rename(rubbish / path.name)  # whole, if we are killed
        shutil.rmtree(rubbish)
        return before - home.size_bytes()


def _refuse_if_kept(home: Home) -> None:
    from testdb.postgres import catalog

    with server.connect(server.find_socket(home) or server.start(home)) as connection:
        kept = [entry.name for entry in catalog.read(connection).entries if entry.is_kept]
    if kept:
        msg = (
            f"Nothing was purged: there are databases that somebody keeps, {', '.join(kept)}. "
            "Drop them (`invoke db.drop`), or give --force."
        )
        raise RefusedError(msg)
