"""The sessions: `nox -l` is the menu, `nox` runs the tests. What follows `--` goes on to pytest."""

import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["tests"]

REQUIREMENTS = ["--requirement", "testdb/requirements.txt", << install >>]
CLEANUP_SECONDS = 30
"""How long tests may clean up after Ctrl-C; else nox kills them in half a second."""


def pytest(session: nox.Session, *arguments: str) -> None:
    """Run pytest; what follows `--` on nox's command line comes last, so that it wins."""
    session.install(*REQUIREMENTS)
    cleanup = {"interrupt_timeout": CLEANUP_SECONDS, "terminate_timeout": CLEANUP_SECONDS}
    session.run("pytest", *arguments, *session.posargs, **cleanup)


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests, on a database for each worker."""
    pytest(session, "-n", "2")


for folder in ("unit", "integration", "e2e"):
    if Path("tests", folder).is_dir():

        @nox.session(name=folder)
        def of_folder(session: nox.Session) -> None:
            """Run the tests in the folder of tests/ that is called like the session."""
            pytest(session, f"tests/{session.name}", *([] if session.name == "unit" else ["-n", "2"]))


@nox.session(default=False)
def dev(session: nox.Session) -> None:
    """Make .venv: the project, with pytest, nox, invoke and all that testdb needs."""
    session.install("uv")
    session.run("uv", "venv", "--allow-existing", "--python", sys.executable, ".venv")
    session.run("uv", "pip", "install", "--python", ".venv", *REQUIREMENTS)
