"""Wait for a lock, a server or a session: for what nobody tells us of, so that we must ask."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

POLL_SECONDS: Final = 0.01
Answer = TypeVar("Answer")


def wait_until(ask: Callable[[], Answer], seconds: float) -> Answer:
    """Ask until the answer is true, or for so many seconds; returns the last answer."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return answer
