"""The sessions: `nox -l` is the menu, `nox` runs the tests. What follows `--` goes on to pytest."""

import sys

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["tests"]

<% if install_pyproject %>
PYPROJECT = nox.project.load_toml("pyproject.toml")
<% endif %>
REQUIREMENTS = [
    "--requirement=testdb/requirements.txt",
<% for line in install %>
    << line >>,
<% endfor %>
]
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


<% for folder in folders %>
@nox.session
def << folder >>(session: nox.Session) -> None:
    """Run the tests in tests/<< folder >>."""
    pytest(session, "tests/<< folder >>"<% if folder != "unit" %>, "-n", "2"<% endif %>)


<% endfor %>
@nox.session(default=False)
def dev(session: nox.Session) -> None:
    """Make .venv: the project, with pytest, nox, invoke and all that testdb needs."""
    session.install("uv")
    session.run("uv", "venv", "--allow-existing", "--python", sys.executable, ".venv")
    session.run("uv", "pip", "install", "--python", ".venv", *REQUIREMENTS)
