"""Commands in a pseudo-terminal, and a picture of what a person sees there.

Widths and colors are those that programs choose for a terminal. rich draws it, without its web
font, which no image on a web page may load: every text has its length, so columns stay columns.
"""

import os
import re
import signal
from collections.abc import Callable, Iterable
from html import escape
from io import BytesIO, StringIO
from itertools import groupby
from typing import Final, Self

import pexpect
import pyte
from pyte.screens import Char
from rich.console import Console
from rich.padding import Padding
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from harness.project import Project

COLUMNS: Final = 100
"""How wide the terminal is: what a README shows, 830 pixels, still has 13 pixels a line."""
LINES: Final = 40
EDGE: Final = 1
"""Columns between the text and either side of the window."""
LONGEST: Final = 500
"""Longer than any line that is written: how lines are folded or cut, the picture decides."""
SECONDS: Final = 60
"""How long a command may take."""
MORE: Final = Text("…", style="bright_black")
"""Stands where lines were left out."""
THEME: Final = TerminalTheme(
    (22, 27, 34),
    (230, 237, 243),
    [
        (72, 79, 88),
        (255, 123, 114),
        (63, 185, 80),
        (210, 153, 34),
        (88, 166, 255),
        (188, 140, 255),
        (57, 197, 207),
        (177, 186, 196),
    ],
    [
        (139, 148, 158),
        (255, 161, 152),
        (86, 211, 100),
        (227, 179, 65),
        (121, 192, 255),
        (210, 168, 255),
        (86, 212, 221),
        (240, 246, 252),
    ],
)
"""Dark, on light pages too, as a terminal is."""
FONTS: Final = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace'
"""Whatever the reader has."""
PAGE: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" \
width="{width}" height="{height}" role="img" aria-label="LABEL">
<title>LABEL</title>
<style>
.{unique_id}-matrix {{
  font: {char_height}px FONTS;
}}
.{unique_id}-title {{ font: 600 18px system-ui, sans-serif }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""As rich's own, but for its web font, and with a name for those who do not see it."""


class Command:
    """A command that an interactive shell runs in a terminal, in a project."""

    def __init__(self, project: Project, line: str, **variables: str) -> None:
        """Start it.

        Args:
            project: where it runs.
            line: what a person types.
            variables: of its environment, beside those of the project.
        """
        self._line = line
        self._written = BytesIO()
        mine = {name: project.variables()[name] for name in ("PATH", "PYTHONPATH")}
        self._shell = pexpect.spawn(
            "bash",
            ["--norc", "--noprofile", "-ic", f"{line}\n:"],  # a last command cannot be told of
            cwd=str(project.path),
            env={"TERM": "xterm-256color", "LANG": "C.UTF-8", **mine, **project.shell, **variables},
            dimensions=(LINES, COLUMNS),
            timeout=SECONDS,
        )
        self._shell.logfile_read = self._written

    def __enter__(self) -> Self:
        """Have it end with the context."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, if it has not ended."""
        if self._shell.isalive():
            self.kill()
        self._shell.close(force=True)

    def wait_until(self, happened: Callable[[], object]) -> None:
        """Wait until a command has got somewhere, reading what it writes.

        Raises:
            SystemExit: it has ended before, or takes too long.
        """
        for _ in range(SECONDS * 10):
            if happened():
                return
            if self._shell.expect([pexpect.TIMEOUT, pexpect.EOF], timeout=0.1):
                break
        self._fail("has not got where it should")

    def type(self, prompt: str, line: str) -> None:
        """Wait for a prompt, and type a line."""
        self._shell.expect_exact(prompt)
        self._shell.sendline(line)

    def kill(self) -> None:
        """Kill it, and all that it has started, with kill -9; its shell lives."""
        os.killpg(os.tcgetpgrp(self._shell.child_fd), signal.SIGKILL)

    def ended(self) -> Self:
        """Wait until it has ended.

        Raises:
            SystemExit: it takes too long.
        """
        if self._shell.expect([pexpect.EOF, pexpect.TIMEOUT]):
            self._fail(f"has not ended in {SECONDS} s")
        return self

    def show(self, *patterns: str, fold: bool = False, aside: str = "") -> list[Text]:
        """Show the prompt, the command and what it has written until now.

        Args:
            patterns: regular expressions: only lines that one of them matches, `…` for the others.
            fold: go on in the next line where a line is too long, as a terminal does, not cut it.
            aside: a comment behind the command.

        Raises:
            SystemExit: nothing matches one of the patterns.
        """
        typed = Text.assemble(("$ ", "bright_green"), (self._line, "bold"))
        typed.append(f"  # {aside}" if aside else "", "bright_black")
        shown = [typed]
        lines = _screen(self._written.getvalue())
        for pattern in patterns:
            if not any(re.search(pattern, line.plain) for line in lines):
                self._fail(f"has written nothing like {pattern!r}")
        for line in lines:
            if patterns and not any(re.search(pattern, line.plain) for pattern in patterns):
                if shown[-1] is not MORE:
                    shown.append(MORE)
            elif fold:
                shown += line.divide(range(COLUMNS, len(line), COLUMNS))
            else:
                line.truncate(COLUMNS, overflow="ellipsis")
                shown.append(line)
        return [*shown, Text()]

    def _fail(self, problem: str) -> None:
        written = self._written.getvalue().decode(errors="replace")
        msg = f"`{self._line}` {problem}. It has written:\n{written}"
        raise SystemExit(msg)


def run(project: Project, line: str) -> Command:
    """Run a command to its end."""
    with Command(project, line) as command:
        return command.ended()


def draw(name: str, title: str, lines: Iterable[Text]) -> str:
    """Draw lines in a window with a title; the name makes what is in this picture its own."""
    text = Text("\n", end="").join(lines)
    text.rstrip()
    console = Console(record=True, width=COLUMNS + 2 * EDGE, file=StringIO())
    console.print(Padding(text, (0, EDGE)), end="")
    label = escape(title).replace("{", "{{").replace("}", "}}")
    page = PAGE.replace("LABEL", label).replace("FONTS", FONTS)
    return console.export_svg(title=title, theme=THEME, code_format=page, unique_id=name)


def _screen(written: bytes) -> list[Text]:
    """Have a terminal show bytes; what was overwritten or erased is gone."""
    screen = pyte.Screen(LONGEST, 1000)
    pyte.ByteStream(screen).feed(written)
    last = max((y for y, row in screen.buffer.items() if _text(row).plain), default=-1)
    return [_text(screen.buffer[y]) for y in range(last + 1)]


def _text(row: dict[int, Char]) -> Text:
    """Turn a row of a screen into text."""
    text = Text()
    cells = (row[x] for x in range(max(row, default=-1) + 1))
    for style, same in groupby(cells, key=_style):  # one piece, not one for each character
        text.append("".join(cell.data for cell in same), style)
    text.rstrip()
    return text


def _style(cell: Char) -> Style:
    return Style(
        color=_color(cell.fg), bgcolor=_color(cell.bg), bold=cell.bold, reverse=cell.reverse
    )


def _color(name: str) -> str | None:
    """Spell a color of pyte as rich does."""
    if name == "default":
        return None
    name = name.replace("brown", "yellow")
    return name.replace("bright", "bright_")
