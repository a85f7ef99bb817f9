"""How tasks speak: tables on stdout, progress on stderr, errors as one message and an exit code."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import psycopg
from invoke.exceptions import Exit
from rich.console import Console
from rich.table import Table

from testdb.errors import LifecycleError

WIDE: Final = 1000
"""Columns of a table: more than any row has, so that nothing is folded."""
stderr = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def errors_as_exit() -> Iterator[None]:
    """End the task with the message of an error that a person can do something about."""
    try:
        yield
    except (LifecycleError, psycopg.Error) as error:
        raise Exit(str(error), code=1) from None


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table. Nothing is cut, so that names can be copied, and piped to other programs."""
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console(width=WIDE, highlight=False, markup=False).print(table)
