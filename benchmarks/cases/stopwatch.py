"""A pytest plugin that repeats every test, and prints how long each took: setup to teardown."""

import json
import os
import time
from collections.abc import Iterator
from typing import Final

import pytest

_SECONDS: Final[list[float]] = []
_PAUSE: Final = float(os.environ.get("BENCHMARK_PAUSE", "0"))
"""Time between two tests, for what goes on behind them."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make many tests of one."""
    metafunc.fixturenames.append("nth")
    metafunc.parametrize("nth", range(int(os.environ["BENCHMARK_TESTS"])))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol() -> Iterator[None]:
    """Take the time of one test, with all that its fixtures do."""
    started = time.perf_counter()
    yield
    _SECONDS.append(time.perf_counter() - started)
    time.sleep(_PAUSE)


def pytest_unconfigure() -> None:
    """Print the times on one line, the last of the output."""
    print(json.dumps(_SECONDS))
