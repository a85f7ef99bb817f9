"""Say in one message what is wrong with a migration: where it stands, what failed, what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

from testdb.adapter import MIGRATIONS, PACKAGE, versions
from testdb.identity.errors import LifecycleError, ModelsError, in_short, own_frames, shorten


class Step(StrEnum):
    """What was being done, as the beginning of a sentence."""

    MIGRATE = "Migrating"
    COMPARE = "Comparing models with the migrations of"
    WRITE = "Writing a migration of"
    UNDO = "Undoing the migrations of"
    REDO = "After all was undone, migrating"


CANNOT_BE_UNDONE: Final = (
    "`raise NotImplementedError` in it says that it cannot be undone. To try no downgrade at all, "
    'take "downgrades" out of MIGRATION_CHECKS in testdb/adapter.py.'
)
CURES: Final = {
    Step.MIGRATE: "Correct the migration.",
    Step.COMPARE: "Correct the models.",
    Step.WRITE: "Nothing was written.",
    Step.UNDO: f"Each is undone once, to try it. Correct the downgrade; {CANNOT_BE_UNDONE}",
    Step.REDO: f"A downgrade left something behind. Correct it; {CANNOT_BE_UNDONE}",
}
IN_MODELS: Final = "Correct it there. It is not a migration, but migrations import the models."
WARNING: Final = (
    "This is a warning, and pytest's `filterwarnings` makes it an error. Mend what it names, or "
    "ignore it there."
)
KNOWN: Final = {
    '" is not available': (
        "The server does not have this extension. The README lists those of the embedded server; "
        "TESTDB_SERVER_URL names another one."
    ),
    'has no default operator class for access method "gist"': (
        "The extension btree_gist has it. Make that in a migration before, of "
        '`invoke db.revision "add btree_gist" --empty`; the README says how, under Extensions.'
    ),
    "_old) because other objects depend on it": (
        "What depends on it compares values of the enum. Drop it before `op.sync_enum_values`, "
        "and make it again after that."
    ),
    "invalid input value for enum": (
        "A new value can be used from the next migration on: write one that adds it, and then one "
        "that uses it."
    ),
    "Can't locate revision": (
        "The database was migrated by other code, of another branch perhaps. Go back to that, or "
        "drop the database (`invoke db.drop RUN`) and create it anew."
    ),
}
"""What to do instead, by what the error says."""


@contextmanager
def one_message(logical: str, step: Step = Step.MIGRATE) -> Iterator[None]:
    """Turn whatever the migrations or models of a logical database raise into one message.

    Raises:
        ModelsError: models, or what they import, raised something.
        LifecycleError: the migrations did.
    """
    try:
        yield
    except LifecycleError:
        raise
    except Exception as error:  # noqa: BLE001  a migration may raise anything
        place = _where(error, logical)
        file, line = place or (versions(logical), "")
        in_models = not _is_in(file, MIGRATIONS, versions(logical))
        what = in_short(error)
        otherwise = IN_MODELS if in_models else CURES[step]
        if place is None and isinstance(error, Warning):
            otherwise = WARNING
        cure = next((cure for said, cure in KNOWN.items() if said in what), otherwise)
        where = f"{shorten(file)}{line}"
        msg = f"{step} the logical database {logical} fails in {where}\n{what}\n{cure}"
        raise (ModelsError if in_models else LifecycleError)(msg) from None


def _where(error: Exception, logical: str) -> tuple[str | Path, str] | None:
    """Find the file and line of the service that raised an error, or that Python cannot read."""
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, f":{error.lineno}"
    migrations = (MIGRATIONS, versions(logical))
    frames = [
        frame
        for frame in own_frames(error)
        if _is_in(frame.filename, PACKAGE, *migrations)
        and Path(frame.filename).parent != MIGRATIONS
    ]
    of_migrations = [frame for frame in frames if _is_in(frame.filename, *migrations)]
    for frame in (of_migrations or frames)[-1:]:
        return frame.filename, f":{frame.lineno}, {frame.name}\n    {frame.line}"
    return None


def _is_in(file: str | Path, *folders: Path) -> bool:
    return any(Path(file).is_relative_to(folder) for folder in folders)
