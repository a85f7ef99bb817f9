"""A gate: programs wait at it, in the middle of what they do, until the test lets them pass."""

import fcntl
from pathlib import Path
from typing import Final

GATE: Final = "FAULTS_GATE"
"""The variable that leads programs to the gate."""
WAIT: Final = f"""
import fcntl, os

def wait_at_the_gate():
    with open(os.environ["{GATE}"] + ".arrived", "a") as arrived:
        print(os.getpid(), file=arrived)
    with open(os.environ["{GATE}"]) as gate:
        fcntl.flock(gate, fcntl.LOCK_SH)
"""
"""Python that the programs hold."""


class Gate:
    """A gate in a directory, closed at first."""

    def __init__(self, directory: Path) -> None:
        """Close it."""
        self._path = directory / "gate"
        self._arrived = directory / "gate.arrived"
        self._arrived.touch()
        self._closed = self._path.open("w")
        fcntl.flock(self._closed, fcntl.LOCK_EX)
        self.variables = {GATE: str(self._path)}

    def arrived(self) -> list[int]:
        """List the process of each arrival; one that comes again is listed again."""
        return [int(pid) for pid in self._arrived.read_text().split()]

    def open(self) -> None:
        """Let everybody pass from now on."""
        self._closed.close()
