"""Say in one message what is wrong with a migration: where it stands, what failed, what to do."""

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

from sqlalchemy.exc import DBAPIError

from testdb.adapter import MIGRATIONS, PACKAGE
from testdb.identity.errors import LifecycleError
from testdb.identity.project import ROOT


class Step(StrEnum):
    """What was being done, as the beginning of a sentence."""

    MIGRATE = "Migrating"
    COMPARE = "Comparing models with the migrations of"
    WRITE = "Writing a migration of"
    UNDO = "Undoing the migrations of"
    REDO = "After all was undone, migrating"


CANNOT_BE_UNDONE: Final = "`raise NotImplementedError` in it says that it cannot be undone."
CURES: Final = {
    Step.MIGRATE: "Correct the migration.",
    Step.COMPARE: "Correct the models.",
    Step.WRITE: "Nothing was written.",
    Step.UNDO: f"Each is undone once, to try it. Correct the downgrade; {CANNOT_BE_UNDONE}",
    Step.REDO: f"A downgrade left something behind. Correct it; {CANNOT_BE_UNDONE}",
}
NO_EXTENSION: Final = (
    "The server does not have this extension. The README lists those of the embedded server; "
    "TESTDB_SERVER_URL names another one."
)


@contextmanager
def one_message(logical: str, step: Step = Step.MIGRATE) -> Iterator[None]:
    """Turn whatever the migrations or models of a logical database raise into one message.

    Raises:
        LifecycleError: they raised something.
    """
    try:
        yield
    except LifecycleError:
        raise
    except Exception as error:  # noqa: BLE001  a migration may raise anything
        where = _where(error) or f"{shorten(MIGRATIONS / logical)}"
        what = _what(error)
        missing = 'extension "' in what and "is not available" in what
        cure = NO_EXTENSION if missing else CURES[step]
        msg = f"{step} the logical database {logical} fails in {where}\n{what}\n{cure}"
        raise LifecycleError(msg) from None


def shorten(path: Path | str) -> str:
    """Spell a path as seen from the checkout."""
    return os.path.relpath(path, ROOT)


def _where(error: Exception) -> str | None:
    """Find the line of the service's code that raised an error, or that Python cannot read."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{shorten(error.filename)}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    for folder in (MIGRATIONS, PACKAGE):
        for frame in reversed(frames):
            path = Path(frame.filename)
            if path.is_relative_to(folder) and path.parent != MIGRATIONS:
                return f"{shorten(path)}:{frame.lineno}, {frame.name}\n    {frame.line}"
    return None


def _what(error: Exception) -> str:
    if isinstance(error, DBAPIError):
        return f"{type(error.orig).__name__}: {error.orig}"
    return f"{type(error).__name__}: {error}"
