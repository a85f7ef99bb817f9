"""What the fixtures in tests/conftest.py start from: the run, this worker, the isolation."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final, Literal

import pytest

from testdb.identity.errors import LifecycleError
from testdb.identity.names import new_run_id
from testdb.testing.isolation import Isolation, IsolationMode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testdb.runs.run import Run

RUN: Final[pytest.StashKey[Run]] = pytest.StashKey()
"""Key in Config.stash: the run that this process is part of, if it needs one."""
FAILED: Final = pytest.StashKey[bool]()
"""Key in Item.stash: whether a phase of the test has failed."""
_OPEN: Final = pytest.StashKey[ExitStack]()


@pytest.fixture(scope="session")
def run(pytestconfig: pytest.Config) -> Run:
    """Be part of this pytest invocation, which is alive as long as its lease is held."""
    return join_run(pytestconfig)


@pytest.fixture(scope="session")
def worker(pytestconfig: pytest.Config) -> str:
    """Name this xdist worker; `main` without xdist."""
    return worker_input(pytestconfig).get("workerid", "main")


@pytest.fixture
def isolation(request: pytest.FixtureRequest) -> Isolation:
    """Say how the test is isolated: by its marker, else by a reset."""
    node = request.node
    keeps = request.config.getoption("keep_failed_db")
    return Isolation(mode_of(node), node.nodeid, lambda: keeps and node.stash.get(FAILED, False))


def mode_of(test: pytest.Item) -> IsolationMode:
    """Tell how a test is isolated: by what is nearest of its marker, its class's and its module's.

    Raises:
        LifecycleError: that is not one of the ways.
    """
    found = list(test.iter_markers_with_node("isolation"))
    if not found:
        return IsolationMode.RESET
    marks = [mark for node, mark in found if node is found[0][0]]
    if len(marks) == 1 and len(marks[0].args) == 1 and not marks[0].kwargs:
        with suppress(ValueError):
            return IsolationMode(marks[0].args[0])
    path, line, name = test.location
    msg = (
        f"{path}:{(line or 0) + 1}: {name.partition('[')[0]} is marked with "
        f"{' and '.join(map(_spell, marks))}. Write one of the two ways: "
        f"{' or '.join(_spell(pytest.mark.isolation(str(way)).mark) for way in IsolationMode)}."
    )
    raise LifecycleError(msg)


def _spell(mark: pytest.Mark) -> str:
    named = [f"{name}={value!r}" for name, value in mark.kwargs.items()]
    return f"@pytest.mark.{mark.name}({', '.join([*map(repr, mark.args), *named])})"


def loop_scope(
    fixture_name: str,  # noqa: ARG001  pytest passes it
    config: pytest.Config,
) -> Literal["function", "session"]:
    """Give the scope of pytest-asyncio's event loops: what holds connections lives as long."""
    scope = config.getini("asyncio_default_fixture_loop_scope")
    return "session" if scope == "session" else "function"


def join_run(config: pytest.Config) -> Run:
    """Get the run that this process is part of, joining it on first use.

    Raises:
        LifecycleError: there is no server that can be used.
    """
    if RUN not in config.stash:
        from testdb.runs import run as runs  # unit tests start without it

        # Never that of an example which runs pytest: the audit drops what is left of a run.
        run_id = worker_input(config).get("testdb_run") or new_run_id()
        config.stash[_OPEN] = ExitStack()
        cold = config.getoption("cold_template")
        config.stash[RUN] = config.stash[_OPEN].enter_context(runs.start(run_id=run_id, cold=cold))
    return config.stash[RUN]


def leave_run(config: pytest.Config) -> None:
    """Let go of the lease and of the server."""
    if _OPEN in config.stash:
        config.stash[_OPEN].close()


def worker_input(config: pytest.Config) -> Mapping[str, str]:
    """Get what the controller told this worker; nothing in the controller, or without xdist."""
    return getattr(config, "workerinput", {})
