"""Two checkouts of one baked project, and processes of them: what these tests kill and crowd."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from faults.process import ForkServer, Process, Processes, fork_server
from faults.users import CLOSED, as_user, give
from harness.external import ExternalServer
from harness.project import NewProject, Project


@pytest.fixture(scope="session")
def embedded_project(new_project: NewProject) -> Project:
    """A baked project with two logical databases, on an embedded server."""
    return new_project(databases="two")


@pytest.fixture(scope="session")
def project(embedded_project: Project, external_server: ExternalServer) -> Project:
    """The same project on the external server."""
    return embedded_project.with_shell(**external_server.variables)


@pytest.fixture(scope="session")
def checkout(new_project: NewProject, external_server: ExternalServer) -> Project:
    """Another checkout of the same project."""
    return new_project(databases="two").with_shell(**external_server.variables)


@pytest.fixture(scope="session")
def processes() -> Iterator[Processes]:
    """Start processes that use testdb, as many as a test asks for, and end them with it."""
    with ExitStack() as stack:
        servers = dict[Path, ForkServer]()

        @contextmanager
        def processes(project: Project, count: int = 1) -> Iterator[list[Process]]:
            if project.path not in servers:
                servers[project.path] = stack.enter_context(fork_server(project))
            server, variables = servers[project.path], project.variables()
            with ExitStack() as forked:
                yield [forked.enter_context(server.fork(variables)) for _ in range(count)]

        yield processes


@pytest.fixture
def room(homes: Path) -> Iterator[Path]:
    """A directory that everybody can reach, of the ordinary user; gone with all in it."""
    with tempfile.TemporaryDirectory(dir=homes, ignore_cleanup_errors=True) as it:
        give(Path(it))
        yield Path(it)


@pytest.fixture(scope="session")
def ordinary_user(embedded_project: Project) -> Iterator[ForkServer]:
    """Have processes of an ordinary user, whose files nobody else may read."""
    with fork_server(embedded_project, *as_user(), *CLOSED) as server:
        yield server
