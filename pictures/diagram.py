"""Draw how databases come to be: migrations, a template, and what is cloned from it in one run."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Final

from terminal import FONTS

Row = Mapping[str, Any]
"""A row of `db.list --json`."""
WIDTH: Final = 830
"""As wide as a README shows it, so that sizes are those that a person sees, in pixels."""
HEIGHT: Final = 446
GAP: Final = 12
LINE: Final = 19
MONO: Final = 7.2
"""How wide a character of a name is."""
TITLE: Final = "From migrations to a database for each worker, service and example"
STYLE: Final = """
.page { fill: #ffffff }
.box { fill: #f6f8fa; stroke: #d0d7de }
.template { fill: #ddf4e8; stroke: #1a7f5a }
.run { fill: none; stroke: #8c959f; stroke-dasharray: 5 4 }
.arrow { fill: none; stroke: #57606a; stroke-width: 1.5 }
.head { fill: #57606a }
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.name { font: 12px FONTS }
@media (prefers-color-scheme: dark) {
  .page { fill: #0d1117 }
  .box { fill: #161b22; stroke: #3d444d }
  .template { fill: #12261e; stroke: #3fb98a }
  .arrow { stroke: #9198a1 }
  .head { fill: #9198a1 }
  text { fill: #e6edf3 }
}
""".replace("FONTS", FONTS)
TEMPLATE_IS: Final = (
    "found again by a hash of the migrations: no migration runs then",
    "nobody connects to it",
)
RUN_IS: Final = (
    "A run holds a lock on the server while it lives, and drops its databases when it ends.",
    "What it leaves after kill -9, invoke db.sweep drops: the lock is gone.",
)
OF_ITS_OWN: Final = ("calls the service in", "a process of its own")
USERS: Final = {
    "worker": (
        "tests/integration",
        "calls the service",
        "in this process",
        "reset after each test",
    ),
    "e2e": ("tests/e2e", *OF_ITS_OWN, "reset after each test"),
    "example": ("examples/example_*.py", *OF_ITS_OWN, "dropped at its end"),
}
"""Who uses a database: where it is, what it does, and what becomes of the database."""


def draw(migrations: Iterable[str], rows: Iterable[Row]) -> str:
    """Draw the migrations of a logical database, its template, and the databases of a run."""
    [template] = [row for row in rows if row["kind"] == "template"]
    clones = sorted((row for row in rows if row is not template), key=_order)
    wide = (WIDTH - 2 * GAP - (len(clones) + 1) * GAP) / len(clones)
    parts = [
        _box("box", GAP, GAP, 250, 108),
        _lines(GAP, GAP, "Migrations of main", [*migrations], []),
        _arrow(GAP + 250, 66, 356, 66),
        _text("", 267, 57, "run once"),
        _box("template", 358, GAP, WIDTH - 358 - GAP, 108),
        _lines(358, GAP, "Template", [template["name"]], TEMPLATE_IS),
        _box("run", GAP, 178, WIDTH - 2 * GAP, 212),
        _text("title", 2 * GAP, 198, f"Run {clones[0]['run']}: each has a clone of its own"),
    ]
    for number, row in enumerate(clones):
        x = 2 * GAP + number * (wide + GAP)
        parts += [
            _box("box", x, 210, wide, 168),
            _lines(x, 210, _title(row), _broken(row["name"]), USERS[_user(row)]),
        ]
    parts += [
        _arrow(584, 120, 584, 176),
        _text("", 596, 152, "CREATE DATABASE … TEMPLATE"),
        _text("", GAP, 412, RUN_IS[0]),
        _text("", GAP, 412 + LINE, RUN_IS[1]),
    ]
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{TITLE}">\n'
        f"<title>{TITLE}</title>\n<style>{STYLE}</style>\n"
        '<rect class="page" width="100%" height="100%"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _user(row: Row) -> str:
    """Tell who uses a database: a key of USERS."""
    is_e2e = row["kind"] == "worker" and f"_{row['worker']}_" not in row["name"]
    return "e2e" if is_e2e else row["kind"]


def _order(row: Row) -> tuple[int, str]:
    return [*USERS].index(_user(row)), row["worker"]


def _title(row: Row) -> str:
    return "An example" if row["kind"] == "example" else f"Worker {row['worker']}"


def _broken(name: str) -> list[str]:
    """Break a name behind its run, and behind its user."""
    *project, run, user, logical, digits = name.split("_")
    return [f"{'_'.join(project)}_{run}_", f"{user}_", f"{logical}_{digits}"]


def _box(kind: str, x: float, y: float, width: float, height: float) -> str:
    size = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
    return f'<rect class="{kind}" {size} rx="6"/>'


def _lines(x: float, y: float, title: str, names: Iterable[str], texts: Iterable[str]) -> str:
    """Write what is in a box: its title, names, and what is to be said of it."""
    written = [("title", title), *(("name", name) for name in names), *(("", t) for t in texts)]
    return "\n".join(
        _text(kind, x + GAP, y + 5 + LINE * number, line)
        for number, (kind, line) in enumerate(written, start=1)
    )


def _text(kind: str, x: float, y: float, text: str) -> str:
    length = f' textLength="{MONO * len(text):.1f}"' if kind == "name" else ""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}"{length}>{escape(text)}</text>'


def _arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    """Draw an arrow to the right, or down."""
    away = (-8, -5), (-8, 5)
    sides = away if y1 == y2 else tuple((y, x) for x, y in away)
    head = " ".join(f"{x2 + x},{y2 + y}" for x, y in sides)
    return (
        f'<path class="arrow" d="M{x1} {y1} L{x2} {y2}"/>'
        f'<polygon class="head" points="{x2},{y2} {head}"/>'
    )
