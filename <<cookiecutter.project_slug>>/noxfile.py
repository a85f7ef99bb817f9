"""The sessions: `nox -l` is the menu, `nox` runs the default set.

What follows `--` goes on to pytest, and to examples/run_all.py: `nox -s e2e -- -n 4`.
"""

import os
import sys

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "typecheck", "unit", "integration", "e2e"]

CLEANUP_SECONDS = 30
"""How long tests and examples may clean up after Ctrl-C; else nox kills them in half a second."""
COVERED_PERCENT = 90
"""Of the service's lines and branches; `nox -s coverage` fails below it."""


def install(session: nox.Session, group: str) -> None:
    """Install the project and a dependency group, as uv.lock has them.

    By what pyproject.toml allows instead where there is no uv, or UV_RESOLUTION says which
    versions: `UV_RESOLUTION=lowest-direct nox`.
    """
    if session.venv_backend == "uv" and "UV_RESOLUTION" not in os.environ:
        here = session.virtualenv.location
        only = ("--no-default-groups", f"--group={group}", f"--python={here}")
        session.run_install("uv", "sync", *only, env={"UV_PROJECT_ENVIRONMENT": here})
    else:
        pyproject = nox.project.load_toml("pyproject.toml")
        session.install("--editable", ".", *nox.project.dependency_groups(pyproject, group))


def run(session: nox.Session, *command: str) -> None:
    """Run what has databases to drop when it is interrupted."""
    session.run(*command, interrupt_timeout=CLEANUP_SECONDS, terminate_timeout=CLEANUP_SECONDS)


def pytest(session: nox.Session, *arguments: str) -> None:
    """Run pytest; what follows `--` on nox's command line comes last, so that it wins."""
    install(session, "test")
    run(session, "pytest", *arguments, *session.posargs)


@nox.session
def unit(session: nox.Session) -> None:
    """Test the code alone, without any database."""
    pytest(session, "tests/unit", "tests/testdb/unit")


@nox.session
def integration(session: nox.Session) -> None:
    """Test the service in this process, on a database for each worker."""
    pytest(session, "tests/integration", "tests/testdb/integration", "-n", "2")


@nox.session
def e2e(session: nox.Session) -> None:
    """Test the service from outside: every example, in a process of its own."""
    pytest(session, "tests/e2e", "-n", "2")


@nox.session
def examples(session: nox.Session) -> None:
    """Run the examples as a person does, with a summary."""
    install(session, "test")
    run(session, "python", "examples/run_all.py", *session.posargs)


@nox.session(default=False)
def coverage(session: nox.Session) -> None:
    """Measure what all tests run of the service, in every process; htmlcov/ shows the lines."""
    reports = ("--cov-report=term", "--cov-report=html", f"--cov-fail-under={COVERED_PERCENT}")
    pytest(session, "-n", "2", "--cov", *reports)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format, and that imports go one way."""
    install(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")


@nox.session
def typecheck(session: nox.Session) -> None:
    """Check types, strictly."""
    install(session, "typecheck")
    session.run("mypy")


@nox.session(default=False)
def dev(session: nox.Session) -> None:
    """Make .venv: the project, editable, with nox, invoke and all it needs."""
    uv(session, "sync", f"--python={sys.executable}")


@nox.session(default=False)
def upgrade(session: nox.Session) -> None:
    """Renew uv.lock: the newest versions that pyproject.toml allows."""
    uv(session, "lock", "--upgrade", *session.posargs)


def uv(session: nox.Session, *command: str) -> None:
    """Run uv on the project itself, with its .venv."""
    session.install("uv")
    session.run("uv", *command, env={"UV_PROJECT_ENVIRONMENT": ".venv", "VIRTUAL_ENV": None})
