"""Run programs to their end, and say in a failure's first lines what was expected of them."""

import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Final, NoReturn, Self

SHOWN_LINES: Final = 40
"""How much of the end of an output a failure shows; it names a file that holds all of it."""
SECONDS: Final = 540
"""How long a program may take: less than a test may, so that its output is seen."""
_started: Final[list[subprocess.Popen[str]]] = []


@dataclass(frozen=True)
class Outcome:
    """How a program ended, and what it wrote."""

    command: str
    cwd: Path
    code: int
    stdout: str = field(repr=False)
    stderr: str = field(repr=False)

    @property
    def output(self) -> str:
        """All that it wrote."""
        return self.stdout + self.stderr

    def expect_code(self, code: int) -> Self:
        """Fail unless it ended with this exit code."""
        __tracebackhide__ = True
        if self.code != code:
            self.fail(f"exit code {code}, not {self.code}")
        return self

    def expect(self, *texts: str) -> Self:
        """Fail unless it wrote each of these."""
        __tracebackhide__ = True
        for text in texts:
            if text not in self.output:
                self.fail(f"to say {text!r}")
        return self

    def expect_none_of(self, *texts: str) -> Self:
        """Fail if it wrote any of these."""
        __tracebackhide__ = True
        for text in texts:
            if text in self.output:
                self.fail(f"never to say {text!r}")
        return self

    def expect_times(self, times: int, pattern: str) -> Self:
        """Fail unless this regular expression matches so many times."""
        __tracebackhide__ = True
        found = len(re.findall(pattern, self.output, re.MULTILINE))
        if found != times:
            self.fail(f"to say {pattern!r} {times} times, not {found} times")
        return self

    def find(self, pattern: str) -> re.Match[str]:
        """Find what matches a regular expression; fail if nothing does."""
        __tracebackhide__ = True
        match = re.search(pattern, self.output, re.MULTILINE)
        return match or self.fail(f"to say something like {pattern!r}")

    def fail(self, expected: str) -> NoReturn:
        """Fail: say what was expected, show the end of the output, keep all of it in a file."""
        __tracebackhide__ = True
        whole = Path(mkdtemp(prefix="output-", dir=self.cwd.parent), "output")
        whole.write_text(self.output)
        end = "\n".join(self.output.splitlines()[-SHOWN_LINES:])
        msg = (
            f"`{self.command}` was expected {expected}.\n"
            f"In {self.cwd} it ended with exit code {self.code}. "
            f"The end of its output (all of it is in {whole}):\n{end}"
        )
        raise AssertionError(msg)


def run(*command: str | Path, cwd: Path, env: Mapping[str, str], code: int | None = 0) -> Outcome:
    """Run a program to its end.

    Args:
        command: the program and its arguments.
        cwd: where to run it.
        env: all of its environment.
        code: the exit code that it must end with; None for any.

    Raises:
        AssertionError: it ended with another exit code, or took too long.
    """
    __tracebackhide__ = True
    return finish(start(*command, cwd=cwd, env=env), cwd=cwd, code=code)


def start(*command: str | Path, cwd: Path, env: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start a program in a process group of its own. `finish` it; else the test's end kills it."""
    program = subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    _started.append(program)
    return program


def kill_started() -> None:
    """Kill what was started and has not ended, as after a test that failed in between."""
    while _started:
        _kill(_started.pop())


def _kill(program: subprocess.Popen[str]) -> tuple[str, str]:
    """Kill a program and its process group, and get what it had written."""
    with suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)
    return program.communicate()


def wait_for(
    program: subprocess.Popen[str],
    happened: Callable[[], object],
    what: str,
    *,
    cwd: Path,
    seconds: float = 60,
) -> None:
    """Wait until a started program has got somewhere.

    Args:
        program: the program.
        happened: tells whether it has.
        what: completes "it was expected …".
        cwd: where it runs.
        seconds: how long that may take.

    Raises:
        AssertionError: it ended before, or it takes too long, and then it is killed.
    """
    __tracebackhide__ = True
    deadline = time.monotonic() + seconds
    while not happened():
        if program.poll() is not None or time.monotonic() > deadline:
            _collect(program, cwd, seconds=0).fail(what)
        time.sleep(0.02)


def finish(
    program: subprocess.Popen[str],
    *,
    cwd: Path,
    code: int | None = 0,
    seconds: float = SECONDS,
) -> Outcome:
    """Wait until a started program ends; kill it, and its process group, if it takes too long.

    Raises:
        AssertionError: it ended with another exit code, or not within so many seconds.
    """
    __tracebackhide__ = True
    deadline = time.monotonic() + seconds
    outcome = _collect(program, cwd, seconds)
    if time.monotonic() > deadline:
        outcome.fail(f"to end within {seconds:g} s")
    return outcome if code is None else outcome.expect_code(code)


def _collect(program: subprocess.Popen[str], cwd: Path, seconds: float) -> Outcome:
    """Get how a program ended; kill it, and its process group, if it has not in so many seconds."""
    name, *arguments = map(str, program.args)
    try:
        written = program.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        written = _kill(program)
    _started.remove(program)
    return Outcome(shlex.join([Path(name).name, *arguments]), cwd, program.returncode, *written)
