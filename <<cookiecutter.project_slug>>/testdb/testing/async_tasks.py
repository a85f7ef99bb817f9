"""asyncio tasks that a test began and forgot: they end before the next test, or are named."""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final

from testdb.postgres.sessions import GRACE_SECONDS
from testdb.testing.isolation import IsolationError

_begun: Final[ContextVar[set[asyncio.Task[Any]] | None]] = ContextVar("begun", default=None)
"""The tasks of the test that runs in this context. What the app's lifespan began has another."""


def ending_its_tasks(
    test: Callable[..., Awaitable[None]], name: str
) -> Callable[..., Awaitable[None]]:
    """Make a test wait for the tasks that it began, and cancel those that do not end.

    Raises:
        IsolationError: from the test: it forgot a task.
    """

    @functools.wraps(test)
    async def run(*arguments: Any, **fixtures: Any) -> None:  # noqa: ANN401  as the test has it
        loop, begun = asyncio.get_running_loop(), set[asyncio.Task[Any]]()
        factory = loop.get_task_factory()
        loop.set_task_factory(functools.partial(_make_task, factory))
        token = _begun.set(begun)
        try:
            await test(*arguments, **fixtures)
        finally:
            forgotten = await _end(begun)
            _begun.reset(token)
            loop.set_task_factory(factory)
        if forgotten:
            msg = (
                f"{name} left asyncio tasks running, which were cancelled: {', '.join(forgotten)}."
            )
            raise IsolationError(msg)

    return run


def _make_task(
    factory: Callable[..., Any] | None,
    loop: asyncio.AbstractEventLoop,
    coroutine: Any,  # noqa: ANN401  as asyncio passes it
    **options: Any,  # noqa: ANN401
) -> asyncio.Task[Any]:
    make = factory or _make_plain_task
    task: asyncio.Task[Any] = make(loop, coroutine, **options)
    if (begun := _begun.get()) is not None:
        begun.add(task)
    return task


def _make_plain_task(loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:  # noqa: ANN401
    return asyncio.Task(coroutine, loop=loop, **options)


async def _end(begun: set[asyncio.Task[Any]]) -> list[str]:
    """Give tasks, and those that they begin, a moment to end; then cancel them. Returns names."""
    deadline = time.monotonic() + GRACE_SECONDS
    while running := {task for task in begun if not task.done()}:
        if (seconds := deadline - time.monotonic()) <= 0:
            break
        await asyncio.wait(running, timeout=seconds)
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running, timeout=GRACE_SECONDS)
    return sorted(getattr(task.get_coro(), "__qualname__", repr(task)) for task in running)
