"""A test that hangs: its report shows where it waits, and what it waits for ends with it."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
import traceback
from dataclasses import dataclass
from functools import partial
from types import AsyncGeneratorType, CoroutineType, FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final

import pytest

from testdb.adapter import SERVICE
from testdb.identity.project import is_own

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testdb.runs.run import Run

CANCEL_SECONDS: Final = 2.0
"""How long a task that was cancelled may take to end, with the tasks that it began."""


@dataclass(frozen=True)
class Hanging:
    """What a test that timed out was waiting for."""

    task: asyncio.Task[Any] | None
    """The task that its event loop ran, unless it was in none."""
    pids: list[int]
    """The sessions that were busy for it."""


_HANGING: Final = pytest.StashKey[Hanging]()


def show_where_it_hangs(item: pytest.Item, settings: Any) -> None:  # noqa: ANN401  it has no types
    """Have the timer of pytest-timeout raise its error with the stack of the task that waits."""
    is_main = threading.current_thread() is threading.main_thread()
    if settings.method == "signal" and is_main:
        signal.signal(signal.SIGALRM, partial(_time_out, item, settings))


def _time_out(item: pytest.Item, settings: Any, _: int, frame: FrameType | None) -> None:  # noqa: ANN401
    from pytest_timeout import PYTEST_FAILURE_MESSAGE, is_debugging  # type: ignore[import-untyped]

    __tracebackhide__ = True
    if not settings.disable_debugger_detection and is_debugging():
        return
    task, stack = _find_task(frame), None
    if task and asyncio.current_task(task.get_loop()) is None:
        stack = _stack_of(task)
        task.cancel()
    item.config.stash[_HANGING] = Hanging(task, _busy(item))
    failure = pytest.fail.Exception(PYTEST_FAILURE_MESSAGE % settings.timeout)
    for name, frames in _other_threads():
        failure.add_note(f"Meanwhile in thread {name}:\n{''.join(traceback.format_list(frames))}")
    raise failure.with_traceback(stack)


def _other_threads() -> Iterator[tuple[str, list[traceback.FrameSummary]]]:
    """List the threads that run code of the owner, and where in it they are."""
    tops = sys._current_frames()  # noqa: SLF001  it is documented
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and thread.ident in tops:
            stack = traceback.extract_stack(tops[thread.ident])
            if frames := [frame for frame in stack if is_own(frame.filename)]:
                yield thread.name, frames


def _find_task(frame: FrameType | None) -> asyncio.Task[Any] | None:
    """Find the task that this thread runs an event loop for."""
    for caller, _ in traceback.walk_stack(frame):
        if caller.f_code is asyncio.BaseEventLoop.run_until_complete.__code__:
            future = caller.f_locals["future"]
            return future if isinstance(future, asyncio.Task) else None
    return None


def _stack_of(task: asyncio.Task[Any]) -> TracebackType | None:
    """Get the stack of a task that waits, as the traceback of an error would have it."""
    frames = []
    waiting: Any = task.get_coro()
    while waiting is not None:
        if isinstance(waiting, CoroutineType) and waiting.cr_frame:
            frames.append(waiting.cr_frame)
            waiting = waiting.cr_await
        elif isinstance(waiting, AsyncGeneratorType) and waiting.ag_frame:
            frames.append(waiting.ag_frame)
            waiting = waiting.ag_await
        else:  # a step of an async generator: the generator is among the objects it refers to
            referred = gc.get_referents(waiting)
            waiting = next((to for to in referred if isinstance(to, AsyncGeneratorType)), None)
    stack = None
    for frame in reversed(frames):
        stack = TracebackType(stack, frame, frame.f_lasti, frame.f_lineno)
    return stack


def _busy(item: pytest.Item) -> list[int]:
    if "databases" not in getattr(item, "fixturenames", ()):
        return []
    from testdb.postgres import sessions  # unit tests start without it

    return sessions.busy_for_tests((SERVICE, item.nodeid))


def end_what_hangs(config: pytest.Config, run: Run | None) -> None:
    """End what a test that timed out was waiting for: the next fixture to end may need that."""
    hanging = config.stash.get(_HANGING, None)
    if hanging is None:
        return
    del config.stash[_HANGING]
    task = hanging.task
    if task and not task.done() and not task.get_loop().is_closed():
        task.get_loop().run_until_complete(asyncio.wait({task}, timeout=CANCEL_SECONDS))
    if task and task.done() and not task.cancelled():
        task.exception()  # else asyncio reports that nobody has asked for it
    if run and hanging.pids:
        from testdb.postgres import sessions

        sessions.end(run.connection, hanging.pids)
