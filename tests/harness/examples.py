"""Examples for a baked project: a good one, one that waits at a gate, and bad ones of each kind."""

from dataclasses import dataclass
from typing import Final

from harness.gate import WAIT
from harness.project import Project

PATIENCE_SECONDS: Final = 15
"""How long an example may take in these projects: who hangs is found out sooner."""
SERVES: Final = '''"""Says hello."""

import os
import signal
import threading

from testdb.identity.disposable import Kind
from testdb.processes.examples import service_client
from testdb.runs.run import start

{before}
with service_client(__file__) as client:
    client.get("/health").raise_for_status()
    print("the example was here")
    {inside}
'''
CRASHES: Final = """
import os

if "CRASH_AT_START" in os.environ:
    raise RuntimeError("no service today")


@router.get("/explodes")
def explodes() -> None:
    raise RuntimeError("no answer today")
"""
OUTPUT: Final = "the example was here"
WAITS: Final = "waits"


@dataclass(frozen=True)
class Example:
    """What an example does beside its service, and what must be reported of it if it fails."""

    inside: str
    reported: tuple[str, ...] = ()
    before: str = ""


BAD: Final = {
    "fails": Example("raise ValueError('no luck')", ("exit code 1", OUTPUT, "no luck")),
    "hangs": Example(
        "threading.Event().wait()",
        (f"hung: it was stopped after {PATIENCE_SECONDS} s", OUTPUT, "Event().wait()"),
    ),
    "leaves_one": Example(
        "with start() as run: run.create('other', Kind.EXAMPLE)",
        ("passed, and left testdb_", "behind", OUTPUT),
    ),
    "crashes": Example(
        "",
        ("The service ended with exit code 1 before it answered", "no service today"),
        before="os.environ['CRASH_AT_START'] = 'yes'",
    ),
    "kills_itself": Example(
        "os.kill(os.getpid(), signal.SIGKILL)",
        ("was killed by SIGKILL, and left testdb_", OUTPUT),
    ),
}
OTHERS: Final = {
    "new_one": Example("print('hello')"),
    WAITS: Example("wait_at_the_gate()", before=WAIT),
}


def drop_in(project: Project, name: str) -> None:
    """Write an example into a project."""
    example = (BAD | OTHERS)[name]
    text = SERVES.format(before=example.before, inside=example.inside or "pass")
    project.write(f"examples/example_{name}.py", text)


def make_quick(project: Project) -> Project:
    """Leave two quick examples; shorten the patience; let the service crash where it is told to."""
    for path in project.path.glob("examples/example_*.py"):
        if path.stem not in {"example_health", "example_users"}:
            path.unlink()
    project.replace(
        "testdb/processes/examples.py",
        "TIMEOUT_SECONDS: Final = 60.0",
        f"TIMEOUT_SECONDS: Final = {PATIENCE_SECONDS}",
    )
    health = "src/my_service/health.py"
    project.write(health, (project / health).read_text() + CRASHES)
    return project
