"""Tables for people: nothing is cut, so that names can be copied and piped to other programs."""

from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

WIDE: Final = 1000
"""Columns of a table: more than any row has, so that nothing is folded."""


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout."""
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console(width=WIDE, highlight=False, markup=False).print(table)
