"""Migrations from the command line: all to the newest revision, or whatever Alembic can do."""

import logging
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
        yield
    except (CommandError, SQLAlchemyError) as error:
        said = f"{getattr(error, 'orig', error)}"
        for frame in reversed(extract_tb(error.__traceback__)):
            if DIRECTORY in Path(frame.filename).parents[1:]:
                said = f"{frame.filename}:{frame.lineno}: {said}"
                break
        msg = f"Migrating the logical database {logical} fails: {said}"
        raise SystemExit(msg) from None


if __name__ == "__main__":
    main()
