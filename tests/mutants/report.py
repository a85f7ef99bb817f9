"""The table of mutants, printed when they have been planted."""

from itertools import groupby
from operator import itemgetter

import pytest
from rich.console import Console
from rich.table import Table


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print, for each guarantee, the mutants: what killed them, what it said, and the seconds."""
    rows = [
        row
        for report in terminalreporter.getreports("passed")
        for name, row in report.user_properties
        if name == "mutant"
    ]
    for guarantee, mutants in groupby(sorted(rows), key=itemgetter(0)):
        table = Table(title=guarantee, title_justify="left", box=None, pad_edge=False)
        for heading, width in {"mutant": 55, "killed by": 60, "which said": 60}.items():
            table.add_column(heading, width=width, no_wrap=True)
        table.add_column("s", justify="right", width=3)
        for _, *cells in mutants:
            table.add_row(*cells)
        Console(width=190, highlight=False, markup=False).print("\n", table)
