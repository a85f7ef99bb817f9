"""What a person reads when an example or its service fails: the owner's lines, and the reason."""

import re
import signal
import sys
import traceback
from collections.abc import Iterable
from types import TracebackType
from typing import Final

from testdb.identity.errors import LifecycleError, RefusedError, own_frames, shorten
from testdb.identity.project import is_own

INTERRUPTED: Final = 128 + signal.SIGINT
"""The exit code of a program that Ctrl-C has ended, as shells spell it."""
LINES: Final = 30
"""How much of what a service has to say is shown."""
_NO_PROBLEM: Final = re.compile(r"\S+ \S+ (DEBUG|INFO) ")
"""Begins such a line, in the format of the service's logs.py."""
_FRAME: Final = re.compile(r'(?: +\| )?  File "(.+)", line \d+')
_OF_FRAME: Final = re.compile(r"(?: +\| )?    ")
"""Of a traceback: the line that begins a frame, and those that follow."""


def show_errors_in_short() -> None:
    """Have the error that ends this program shown without the lines of libraries."""
    sys.excepthook = _show


def _show(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    if kind is KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(INTERRUPTED)
    if isinstance(error, LifecycleError):
        said = [str(error), *getattr(error, "__notes__", ())]
    else:
        said = ["".join(traceback.format_exception_only(error)).rstrip()]
    lines = [f"{shorten(f.filename)}:{f.lineno}: {f.line}" for f in own_frames(error)]
    if not isinstance(error, LifecycleError) or isinstance(error, RefusedError):
        if not lines and not isinstance(error, (LifecycleError, SyntaxError)):
            sys.__excepthook__(kind, error, at)  # no line of the owner is at fault
            return
        said[:0] = lines
    sys.stderr.write("".join(f"{line}\n" for line in said))
    for inner in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        _show(type(inner), inner, inner.__traceback__)


def problems(log: Iterable[str]) -> str:
    """Leave out the lines of a service's log that are no problem: those of DEBUG and INFO.

    Of tracebacks only the error stays, and the frames that are the owner's code.
    """
    told, is_told = [], True
    for line in log:
        if frame := _FRAME.match(line):
            is_told = is_own(frame[1])
        elif not _OF_FRAME.match(line):
            is_told = not _NO_PROBLEM.match(line)
        if is_told:
            told.append(line)
    return "\n".join(told[-LINES:])
