"""Migrations from the command line: all to the newest revision, or whatever Alembic can do."""

import logging
import warnings
from argparse import REMAINDER, ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb

from alembic.config import CommandLine
from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from <<cookiecutter.package_name>>.databases import LOGICAL_DATABASES
from <<cookiecutter.package_name>>.migrations import DIRECTORY, alembic_config, upgrade

PROGRAM = "python -m <<cookiecutter.package_name>>.migrations"
TOLD_BY_LIBRARIES = (CommandError, SQLAlchemyError, SyntaxError, UserWarning)
"""Errors that libraries raise about migrations while no line of one is running."""


def main() -> None:
    """Migrate every logical database, or run an Alembic command on one."""
    parser = ArgumentParser(PROGRAM, description=main.__doc__)
    parser.add_argument("logical", nargs="?", choices=LOGICAL_DATABASES)
    parser.add_argument("command", nargs=REMAINDER, help="such as: history, downgrade -1, --help")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    migrations = logging.getLogger("alembic.runtime.migration")
    migrations.setLevel(logging.INFO)
    migrations.addFilter(lambda record: str(record.msg).startswith("Running"))
    if arguments.logical:
        alembic = CommandLine(f"{PROGRAM} {arguments.logical}")
        options = alembic.parser.parse_args(arguments.command or ["--help"])
        config = alembic_config(arguments.logical)
        config.cmd_opts = options
        with error_in_short(arguments.logical):
            alembic.run_cmd(config, options)
    else:
        for logical in LOGICAL_DATABASES:
            with error_in_short(logical):
                upgrade(logical)


@contextmanager
def error_in_short(logical: str) -> Iterator[None]:
    """End the program with what a migration raises and where, without the lines of libraries."""
    try:
        with warnings.catch_warnings():
            # Alembic goes on after these, with one of two migrations or without some.
            warnings.filterwarnings("error", "Revision .* is (present more than once|not present)")
            yield
    except Exception as error:
        frames = extract_tb(error.__traceback__)
        own = [frame for frame in frames if DIRECTORY in Path(frame.filename).parents[1:]]
        if not own and not isinstance(error, TOLD_BY_LIBRARIES):
            raise
        where = "".join(f"{frame.filename}:{frame.lineno}: " for frame in own[-1:])
        cause = getattr(error, "orig", None) or error
        why = "it cannot be undone" if isinstance(cause, NotImplementedError) else cause
        msg = f"The migrations of {logical} fail: {where}{type(cause).__name__}: {why}"
        raise SystemExit(msg) from None


if __name__ == "__main__":
    main()
