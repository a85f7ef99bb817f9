"""What a person is told: each message says what happened, why, and what to do next."""

import os
import traceback
from pathlib import Path
from types import TracebackType

from testdb.identity.project import is_own


class LifecycleError(Exception):
    """Something in the life of a server or a database cannot go on. The message is for a person."""


class ServerError(LifecycleError):
    """The server is out of reach, or not fit for the work."""


class ModelsError(LifecycleError):
    """The models cannot be imported, so that no database of the service can be migrated."""


class RefusedError(LifecycleError):
    """A database may not be dropped or opened. Nothing was changed."""


class NotDisposableError(RefusedError):
    """A database is not ours to touch: the rule says so."""

    def __init__(self, database: str, reason: str) -> None:
        """Word the refusal; `reason` is the part of it that differs."""
        super().__init__(
            f"{database!r} is not a disposable database: {reason}. Nothing was changed. "
            "`invoke db.list` shows what can be dropped."
        )
        self.reason = reason


def own_line(error: BaseException) -> TracebackType | None:
    """Find the line of the owner's code that is nearest to an error, as a traceback of one frame.

    Returns:
        None if the error passed no code of the owner.
    """
    line = own_traceback(error)
    while line and line.tb_next:
        line = line.tb_next
    return line


def own_traceback(error: BaseException) -> TracebackType | None:
    """Copy the traceback of an error without the frames that are not the owner's.

    Returns:
        None if the error passed no code of the owner.
    """
    own, passed, at = None, [], error.__traceback__
    while at is not None:
        passed.append(at)
        at = at.tb_next
    for at in reversed(passed):
        if is_own(at.tb_frame.f_code.co_filename):
            own = TracebackType(own, at.tb_frame, at.tb_lasti, at.tb_lineno)
    return own


def own_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """List the lines of the owner's code that an error passed, the nearest to it last."""
    return [f for f in traceback.extract_tb(error.__traceback__) if is_own(f.filename)]


def in_one_line(error: BaseException) -> str:
    """Say what an error is, after the file and line of the owner's code that is nearest to it."""
    what = str(error) if isinstance(error, LifecycleError) else in_short(error)
    places = [f"{shorten(frame.filename)}:{frame.lineno}: " for frame in own_frames(error)]
    return "".join([*places[-1:], what])


def in_short(error: BaseException) -> str:
    """Say what an error is: of an SQL error what the server said, without statement and rows."""
    said = getattr(error, "orig", None) or error
    return f"{type(said).__name__}: {said}"


def shorten(path: Path | str) -> str:
    """Spell a path as seen from the working directory."""
    return os.path.relpath(path)
