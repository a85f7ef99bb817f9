"""FILL IN: what testdb must know of the service. No other file of testdb knows it.

What adopting could guess stands here already. Read it from top to bottom once; then `pytest` tells
what is still wrong.
"""

# Each function imports what it needs of the service: nothing is imported before it is needed.

from __future__ import annotations

import os
<% if "/" in package %>
import sys
<% endif %>
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import <% if is_async %>AsyncIterator, <% endif %>Iterable, <% if not is_async %>Iterator, <% endif %>Mapping

    from alembic.config import Config
    from sqlalchemy import URL, Connection

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGE: Final = ROOT / "<< package >>"
"""Where the service is."""
<% if "/" in package %>
sys.path.append(str(PACKAGE.parent))  # tasks, examples and the service's process find it there
<% endif %>
ALEMBIC_INI: Final = ROOT / "<< alembic_ini >>"
MIGRATIONS: Final = ROOT / "<< migrations >>"
"""The folder of env.py: `script_location` in alembic.ini."""
VERSIONS: Final = ROOT / "<< versions >>"
"""The folder of the migrations: `version_locations` in alembic.ini, or `versions` beside env.py."""
URL_VARIABLE: Final = "<< variable >>"
<% if parts %>
"""Has the URL for testdb. The service takes it in parts: see `environment`."""
<% else %>
"""The variable that the service takes the URL of its database from."""
<% endif %>
SETTINGS: Final[Mapping[str, str]] = {}
"""Other variables that the service needs in tests and tasks, and what they hold there."""
HEALTH: Final = "<< health >>"
"""A path that answers GET with 200 when the service is ready, for e2e tests."""
MIGRATION_CHECKS: Final = ("models", "downgrades")
"""What is told before the first test: models that are ahead, migrations that cannot be undone.

Take out what your migrations were never held to.
"""


def load_app() -> Any:
    """Give the application; called once in each process."""
<% if factory %>
    from << factory.module >> import << factory.name >>

    return << factory.name >>()
<% elif app %>
    from << app.module >> import << app.name >>

    return << app.name >>
<% else %>
    msg = "Return the application in testdb/adapter.py, load_app."
    raise NotImplementedError(msg)
<% endif %>


# The parameters of the next two are fixtures, of testdb/fixtures.py or of your own.


<% if is_async %>
async def client(app: Any) -> AsyncIterator[Any]:
    """Call the service in this process: the fixture `client`."""
<% if framework == "litestar" %>
    from litestar.testing import AsyncTestClient

    async with AsyncTestClient(app) as client:
        yield client
<% else %>
    from httpx import ASGITransport, AsyncClient

    from testdb.testing.lifespan import with_state

    async with app.router.lifespan_context(app) as state:
        transport = ASGITransport(with_state(app, state or {}))
        async with AsyncClient(transport=transport, base_url="http://service") as client:
            yield client
<% endif %>
<% else %>
def client(app: Any) -> Iterator[Any]:
    """Call the service in this process: the fixture `client`."""
<% if framework == "flask" %>
    with app.test_client() as client:
        yield client
<% else %>
    from << "litestar.testing" if framework == "litestar" else "starlette.testclient" >> import TestClient

    with TestClient(app) as client:
        yield client
<% endif %>
<% endif %>


<% if is_async %>
async def session(app: Any) -> AsyncIterator[Any]:
<% else %>
def session(app: Any) -> Iterator[Any]:
<% endif %>
    """Read and write over the engine that the service uses: the fixture `session`."""
<% if extension %>
    from << extension.module >> import << extension.name >>

    with app.app_context():
        yield << extension.name >>.session
<% elif maker %>
    from << maker.module >> import << maker.name >>

    << "async " if is_async else "" >>with << maker.name >>() as session:
        yield session
<% elif engine %>
<% if is_async %>
    from sqlalchemy.ext.asyncio import AsyncSession as Session
<% elif is_sqlmodel %>
    from sqlmodel import Session
<% else %>
    from sqlalchemy.orm import Session
<% endif %>

    from << engine.module >> import << engine.name >>

    << "async " if is_async else "" >>with Session(<< engine.name >>) as session:
        yield session
<% else %>
    # For one that the lifespan makes, take `client` as a second parameter, which runs it, and:
    # << "async " if is_async else "" >>with app.state.sessionmaker() as session:
    #     yield session
    msg = "Say in testdb/adapter.py, session, where the service has its sessions from."
    raise NotImplementedError(msg)
    yield
<% endif %>


<% if parts %>
def environment(urls: Mapping[str, URL | str]) -> dict[str, str]:
    """Spell the settings as environment variables.

    The embedded server listens on a socket, whose folder can be no host in a URL that is joined of
    parts. It gets a host that nobody has: testdb/engines.py leads from that to URL_VARIABLE's, and
    programs that a test starts reach no database.
    """
    from sqlalchemy import make_url

    from testdb.postgres.environment import NOWHERE

    url = make_url(urls["main"])
    return {
        URL_VARIABLE: str(url).replace("%2F", "/"),
<% for part, name in parts.items() %>
        "<< name >>": << spelled[part] >>,
<% endfor %>
        **SETTINGS,
    }
<% else %>
def environment(urls: Mapping[str, URL | str]) -> dict[str, str]:
    """Spell the settings as environment variables.

    Where the service takes the URL in parts, name URL_VARIABLE "TESTDB_MAIN_URL", which testdb
    alone reads, and return the parts besides, with `url = make_url(urls["main"])`:

        "DB_HOST": url.host or NOWHERE.strip("/"), "DB_NAME": url.database or "", …

    NOWHERE, of testdb.postgres.environment, is a host that nobody has: the folder of a socket, as
    the embedded server's, can be none. testdb/engines.py leads from it to URL_VARIABLE's.
    """
    from sqlalchemy import make_url

    from testdb.postgres.environment import NOWHERE

    url = make_url(urls["main"])
    if not url.host:  # `?host=` leads to the socket; pydantic's PostgresDsn wants a host as well
        url = url.set(host=NOWHERE.strip("/"))
    # Slashes as they are: in alembic.ini's language a % means something else.
    return {URL_VARIABLE: str(url).replace("%2F", "/"), **SETTINGS}
<% endif %>


def url_in_force() -> URL:
    """Read the URL of the database from the environment."""
    from sqlalchemy import make_url

    return make_url(os.environ[URL_VARIABLE])


# From here on it fits most services as it is.

LOGICAL: Final = ("main",)
"""What the one database is called."""
ENV_PREFIX: Final = URL_VARIABLE
"""How the variables begin that are unset where `environment` says nothing of them."""
SERVICE: Final = "service"
"""The application_name of the service's sessions where it runs in the process of the tests."""


def create_app() -> Any:
    """Give the application to uvicorn, which serves it to e2e tests and `invoke service.run`."""
    from testdb import engines  # noqa: F401  a test's end ends connections, and pools notice

<% if framework == "flask" %>
    from a2wsgi import WSGIMiddleware

    return WSGIMiddleware(load_app())
<% else %>
    return load_app()
<% endif %>


def alembic_config(logical: str, connection: Connection | None = None) -> Config:
    """Configure Alembic as alembic.ini does; the engine that env.py makes follows the settings."""
    from alembic.config import Config

    from testdb import engines

<% if has_toml %>
    attributes = {"logical": logical, "connection": connection}
<% if alembic_ini == "pyproject.toml" %>
    config = Config(toml_file=ALEMBIC_INI, attributes=attributes)
<% else %>
    config = Config(ALEMBIC_INI, toml_file=ROOT / "pyproject.toml", attributes=attributes)
<% endif %>
<% else %>
    config = Config(ALEMBIC_INI, attributes={"logical": logical, "connection": connection})
<% endif %>
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", engines.ANY)
    return config


def alembic_command(logical: str) -> str:
    """Spell Alembic's own command line."""
    return "alembic"


def upgrade(logical: str, connection: Connection) -> None:
    """Migrate the database behind the connection to the newest revision, and commit."""
    from alembic import command

    from testdb import engines

    with engines.left_by_env_py(connection):
        command.upgrade(alembic_config(logical, connection), "head")


def revise(logical: str, connection: Connection, message: str, *, empty: bool) -> Path | None:
    """Write a migration that makes of a migrated database what the models describe, or none."""
    from alembic import command
    from alembic.script import Script

    def skip_empty(_: object, __: object, scripts: list[Any]) -> None:
        if scripts[0].upgrade_ops.is_empty() and not empty:
            scripts.clear()

    config = alembic_config(logical, connection)
    written = command.revision(
        config, message, autogenerate=not empty, process_revision_directives=skip_empty
    )
    return Path(written.path) if isinstance(written, Script) else None


def versions(logical: str) -> Path:
    """Say where the migrations are."""
    return VERSIONS


def migration_files(logical: str) -> Iterable[Path]:
    """List the files that decide about a schema: the migrations, and the env.py that runs them."""
    return (*MIGRATIONS.glob("*.py"), *versions(logical).rglob("*"))


def source_files() -> Iterable[Path]:
    """List the code that the models may come from, and this file, which must fit it."""
    code = [PACKAGE] if PACKAGE.is_file() else PACKAGE.rglob("*.py")
    return (*code, Path(__file__))


def mismatch() -> str | None:
    """Say where the service does not say what is assumed of it above, if that can be told."""
    missing = [path for path in (PACKAGE, ALEMBIC_INI, MIGRATIONS / "env.py") if not path.exists()]
    return f"testdb/adapter.py names {missing[0]}, which does not exist." if missing else None


def mismatch_of_settings() -> str | None:
    """Say where SETTINGS above do not fit those of the service, if that can be told."""
    return None


def log_config() -> dict[str, Any]:
    """Describe to uvicorn how the service logs, as testdb/processes/reports.py reads it."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
        "handlers": {"line": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["line"], "level": "INFO"},
    }
