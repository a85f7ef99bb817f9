"""Migrations from the command line: all to the newest revision, or whatever Alembic can do."""

from argparse import REMAINDER, ArgumentParser

from alembic.config import CommandLine

from <<cookiecutter.package_name>>.databases import LOGICAL_DATABASES
from <<cookiecutter.package_name>>.migrations import alembic_config, upgrade

PROGRAM = "python -m <<cookiecutter.package_name>>.migrations"


def main() -> None:
    """Migrate every logical database, or run an Alembic command on one."""
    parser = ArgumentParser(PROGRAM, description=main.__doc__)
    parser.add_argument("logical", nargs="?", choices=LOGICAL_DATABASES)
    parser.add_argument("command", nargs=REMAINDER, help="such as: history, downgrade -1, --help")
    arguments = parser.parse_args()
    if arguments.logical:
        alembic = CommandLine(f"{PROGRAM} {arguments.logical}")
        options = alembic.parser.parse_args(arguments.command or ["--help"])
        config = alembic_config(arguments.logical)
        config.cmd_opts = options
        alembic.run_cmd(config, options)
    else:
        for logical in LOGICAL_DATABASES:
            upgrade(logical)


if __name__ == "__main__":
    main()
