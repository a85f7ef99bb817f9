"""The template's own sessions: `nox -l` is the menu, `nox` runs its tests.

What follows `--` goes on to pytest or ruff: `nox -- -k cruft`.
"""

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"

PYPROJECT = nox.project.load_toml("pyproject.toml")

CLEANUP_SECONDS = 30
"""How long tests and pictures may clean up after Ctrl-C; else nox kills them in half a second."""


def install(session: nox.Session, group: str) -> None:
    """Install a dependency group."""
    session.install(*nox.project.dependency_groups(PYPROJECT, group))


def run(session: nox.Session, *command: str) -> None:
    """Run what has servers to stop and files to remove when it is interrupted."""
    session.run(*command, interrupt_timeout=CLEANUP_SECONDS, terminate_timeout=CLEANUP_SECONDS)


def pytest(session: nox.Session, *arguments: str) -> None:
    """Run pytest; what follows `--` on nox's command line comes last, so that it wins."""
    install(session, "test")
    run(session, "pytest", "-n", "2", "--dist", "worksteal", *arguments, *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Bake the template, run what it makes, break it, update it.

    A test waits for programs and servers for half of its time: four workers keep two cores busy.
    """
    pytest(session, "-n", "4")


@nox.session(default=False)
def long(session: nox.Session) -> None:
    """Run the long form: what the default leaves out, on every Python that is found."""
    pytest(session, "-m", "long", "--timeout", "3600")


@nox.session(default=False)
def mutants(session: nox.Session) -> None:
    """Plant small faults in the template, and see that its tests notice each of them."""
    pytest(session, "-m", "mutant")


@nox.session(default=False)
def lint(session: nox.Session) -> None:
    """Check style and format of the template's own code."""
    install(session, "lint")
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")


@nox.session(default=False)
def lock(session: nox.Session) -> None:
    """Renew the uv.lock of generated projects, and the names that they cannot have."""
    install(session, "test")
    session.run("python", "scripts/lock.py", *session.posargs)


@nox.session(default=False)
def benchmarks(session: nox.Session) -> None:
    """Measure what a test costs, side by side with the peers."""
    install(session, "benchmarks")
    session.run("python", "benchmarks/measure.py", *session.posargs)


@nox.session(default=False)
def pictures(session: nox.Session) -> None:
    """Draw the README's pictures, from what a new project prints."""
    install(session, "pictures")
    run(session, "python", "pictures/make.py", *session.posargs)
