"""What was measured, and what is derived from it: medians, ratios, tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Row:
    """One figure: a value for each repeat, and the rows of the same table it is compared with."""

    unit: str
    values: Sequence[float]
    peers: tuple[str, ...] = ()

    @property
    def median(self) -> float:
        """What counts."""
        return median(self.values)


Rows = Mapping[str, Row]
"""The rows of one table, by their names."""
Results = Mapping[str, Rows]
"""Those tables that were measured, by the names of their groups."""


def ratio(rows: Rows, name: str, peer: str) -> float:
    """Tell how many times the peer's figure it is."""
    return rows[name].median / rows[peer].median


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Write a table as Markdown."""
    written = (header, ["---"] * len(header), *lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in written)


def table(rows: Rows) -> str:
    """Write the rows of one group as Markdown."""
    return markdown(
        ("", "median", "lowest to highest", "of its peer's"),
        (
            (
                name,
                f"{row.median:.{_digits(row)}f} {row.unit}",
                " to ".join(
                    f"{end:.{_digits(row)}f}" for end in (min(row.values), max(row.values))
                ),
                "; ".join(f"{ratio(rows, name, peer):.2f} × {peer}" for peer in row.peers),
            )
            for name, row in rows.items()
        ),
    )


def as_json(rows: Rows) -> dict[str, Any]:
    """Make what a JSON file holds of the rows of one group."""
    return {
        name: {
            "unit": row.unit,
            "median": row.median,
            "lowest": min(row.values),
            "highest": max(row.values),
            "values": row.values,
            "peers": row.peers,
        }
        for name, row in rows.items()
    }


def _digits(row: Row) -> int:
    """Choose as many digits as the figure deserves."""
    return 0 if row.median >= 100 else 1 if row.median >= 10 else 2  # noqa: PLR2004
