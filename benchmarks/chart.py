"""Draw what a test costs, out of results.json: one bar for each kind of test, ours and the peers'.

By hand, because no chart library that we know writes a file for light and dark pages at once.
"""

import json
from html import escape
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).with_name("results.json")
CHART: Final = Path(__file__).with_name("tests.svg")
LABELS: Final = 290
"""How wide the column of names is."""
BARS: Final = 430
"""How long the longest bar is."""
LINE: Final = 26
STYLE: Final = """
.page { fill: #ffffff }
text { font: 14px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.ours { fill: #1a7f5a }
.peer { fill: #8c959f }
@media (prefers-color-scheme: dark) {
  .page { fill: #0d1117 }
  text { fill: #e6edf3 }
  .ours { fill: #3fb98a }
}
"""


def draw(results: dict[str, Any]) -> str:
    """Draw horizontal bars as SVG."""
    parts: list[str] = []
    y = LINE
    longest = max(row["median"] for _, rows in _groups(results) for row in rows.values())
    for title, rows in _groups(results):
        parts.append(f'<text class="title" x="10" y="{y}">{escape(title)}</text>')
        for name, row in rows.items():
            y += LINE
            kind = "ours" if row["peers"] else "peer"
            width = BARS * row["median"] / longest
            bar = f'x="{LABELS}" y="{y - 14}" width="{width:.1f}" height="18" rx="2"'
            parts += [
                f'<text x="{LABELS - 10}" y="{y}" text-anchor="end">{_plain(name)}</text>',
                f'<rect class="{kind}" {bar}/>',
                f'<text x="{LABELS + width + 8:.1f}" y="{y}">{row["median"]:.1f}</text>',
            ]
        y += 2 * LINE
    wide, high = LABELS + BARS + 70, y - LINE
    # Without the viewBox a narrow page would cut it off instead of making it smaller.
    size = f'viewBox="0 0 {wide} {high}" width="{wide}" height="{high}"'
    label = 'role="img" aria-label="Milliseconds a test, beside the peers"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {label}>\n<style>{STYLE}</style>\n'
        '<rect class="page" width="100%" height="100%"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _groups(results: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    titles = {
        "default": "Put back after each test: ms a test",
        "clone": "A database of its own: ms a test",
    }
    return [(title, results["groups"][group]) for group, title in titles.items()]


def _plain(name: str) -> str:
    return escape(name.replace("`", ""))


if __name__ == "__main__":
    CHART.write_text(draw(json.loads(RESULTS.read_text())))
