"""What is to be reached, and whether it was. Nothing fails by it: machines differ."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import groups
from bench import TABLES
from results import Results, Rows, markdown, ratio


@dataclass(frozen=True)
class Target:
    """One figure out of one group, and its limit."""

    what: str
    group: str
    limit: float
    unit: str
    measure: Callable[[Rows], float]
    is_floor: bool = False
    """It shall be at least the limit, not at most."""

    def describe(self) -> str:
        """Say the limit."""
        return f"{'≥' if self.is_floor else '≤'} {self.limit:g} {self.unit}"

    def is_reached_by(self, measured: float) -> bool:
        """Tell whether a figure is within the limit."""
        return measured >= self.limit if self.is_floor else measured <= self.limit


def _ratio(group: str, name: str, peer: str, limit: float) -> Target:
    return Target(f"{name}, of {peer}", group, limit, "×", lambda rows: ratio(rows, name, peer))


def _beyond(group: str, name: str, peer: str, limit: float, unit: str) -> Target:
    return Target(
        f"{name}, beyond {peer}",
        group,
        limit,
        unit,
        lambda rows: rows[name].median - rows[peer].median,
    )


def _at_most(group: str, name: str, limit: float, unit: str) -> Target:
    return Target(name, group, limit, unit, lambda rows: rows[name].median)


def _refill_of_clone(rows: Rows) -> float:
    beyond = rows[groups.TOUCHED].median - rows[groups.NO_SEEDS].median
    return beyond / rows[groups.SEEDS_CLONE].median


def _gain_by_workers(rows: Rows) -> float:
    return ratio(rows, groups.NO_WORKERS, groups.WORKERS)


_FEW, _MANY, _MOST = (groups.tables_row(number) for number in (TABLES, *groups.MANY_TABLES))
TARGETS: Final = (
    _ratio("default", groups.SYNC, groups.DB, 1),
    _ratio("default", groups.SYNC, groups.TRANSACTION, 0.13),
    _ratio("default", groups.CLIENT, groups.DJANGO_CLIENT, 1.5),
    _ratio("tables", _MANY, _FEW, 1.5),
    _ratio("tables", _MOST, _FEW, 4),
    _beyond("seeds", groups.UNTOUCHED, groups.NO_SEEDS, 10, "ms"),
    Target(
        f"{groups.TOUCHED}, beyond {groups.NO_SEEDS}, of a clone and its drop",
        *("seeds", 1, "×", _refill_of_clone),
    ),
    _ratio("clone", groups.CLONE_SYNC, groups.POSTGRESQL_CLONE, 0.18),
    _ratio("clone", groups.CLONE_CLIENT, groups.POSTGRESQL_CLONE, 0.35),
    _ratio("clone", groups.CLONE_DDL, groups.POSTGRESQL_DDL, 0.5),
    _at_most("line", groups.PAUSED + groups.BEYOND, 3, groups.TRIPS),
    _at_most("line", groups.BACK_TO_BACK + groups.BEYOND, 4, groups.TRIPS),
    _beyond("starts", groups.WARM, groups.COLLECTING, 0.25, "s"),
    _beyond("starts", groups.UNIT, groups.UNIT_WITHOUT, 0.1, "s"),
    _at_most("starts", groups.INVOKE_LIST, 0.4, "s"),
    _at_most("starts", groups.DB_LIST, 0.8, "s"),
    _at_most("starts", groups.EXAMPLE, 1.4, "s"),
    Target("`-n 0`, of `-n 2`", "workers", 1.6, "×", _gain_by_workers, is_floor=True),
    _ratio("long", groups.LAST, groups.FIRST, 1.05),
)


def judged(results: Results) -> Iterator[tuple[Target, float, bool]]:
    """Find the targets whose group was measured, their figures, and whether these reach them."""
    for target in TARGETS:
        if target.group in results:
            measured = target.measure(results[target.group])
            yield target, measured, target.is_reached_by(measured)


def table(results: Results) -> str:
    """Write the targets as Markdown."""
    return markdown(
        ("group", "", "target", "measured", "reached"),
        (
            (
                target.group,
                target.what,
                target.describe(),
                f"{measured:.2f} {target.unit}",
                "yes" if ok else "no",
            )
            for target, measured, ok in judged(results)
        ),
    )
