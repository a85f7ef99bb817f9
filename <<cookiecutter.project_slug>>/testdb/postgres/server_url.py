"""TESTDB_SERVER_URL: what it may say, and where its password goes."""

# The functions import SQLAlchemy: whoever uses no external server starts without it.

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from testdb.identity.errors import ServerError
from testdb.postgres import environment
from testdb.postgres.environment import SERVER_URL_VARIABLE
from testdb.postgres.guard import MAINTENANCE, Address

if TYPE_CHECKING:
    from sqlalchemy import URL

DRIVER: Final = "postgresql+psycopg"
PORT: Final = 5432
QUERY: Final = frozenset(
    """
    host connect_timeout channel_binding require_auth requirepeer krbsrvname
    gssencmode gsslib gssdelegation sslmode sslnegotiation sslcert sslkey sslrootcert sslcrl
    sslcrldir sslsni sslcertmode ssl_min_protocol_version ssl_max_protocol_version
    keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout
    """.split()  # noqa: SIM905  a list would have a line for each
)
"""What the query of the URL may hold: no parameter that leads elsewhere, none that is a secret."""


def hide_password(default: str | None = None) -> None:
    """Take the password out of TESTDB_SERVER_URL, or else this one, and give it to libpq alone."""
    configured = os.environ.get(SERVER_URL_VARIABLE)
    os.environ.pop("PGPASSWORD", None)
    if not configured:
        return
    from sqlalchemy import URL, make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(configured)
        password = str(url.password or default or "")
        # An @ that is not escaped makes a part of the password a host; no passfile holds two lines.
        if configured.partition("?")[0].count("@") > 1 or "\n" in password:
            raise ValueError  # noqa: TRY301
    except (ArgumentError, ValueError):
        os.environ[SERVER_URL_VARIABLE] = "unreadable"
        return
    if password:
        environment.hide_password(password, *address_of(url), user=url.username or "*")
    query = {key: value if key in QUERY else "***" for key, value in url.query.items()}
    public = URL.create(url.drivername, url.username, None, url.host, url.port, None, query)
    os.environ[SERVER_URL_VARIABLE] = public.render_as_string(hide_password=False)


def read(configured: str) -> URL:
    """Read the URL, which holds no password any more.

    Raises:
        ServerError: it is none, or leads elsewhere than to one server.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(configured)
        backend = url.get_backend_name()
    except (ArgumentError, ValueError):
        backend = None
    if backend != "postgresql":
        msg = (
            f"{SERVER_URL_VARIABLE} is not the SQLAlchemy URL of a PostgreSQL server. Write it as "
            "postgresql://user:password@host:5432, with %-escapes in the password (%40 for an @)."
        )
        raise ServerError(msg)
    host, _ = address_of(url)
    if refused := sorted(url.query.keys() - QUERY):
        problem = f"holds {', '.join(refused)} in its query, which testdb does not take from there"
    elif not host or "," in host or bool(url.host) == ("host" in url.query):
        problem = "does not name one host"
    else:
        return url.set(drivername=DRIVER, database=MAINTENANCE)
    msg = (
        f"{SERVER_URL_VARIABLE} {problem}. Write it as postgresql://user:password@host:5432, or "
        "postgresql://user@:5432/?host=/directory/of/its/socket; what libpq needs besides may "
        f"follow: {', '.join(sorted(QUERY - {'host'}))}."
    )
    raise ServerError(msg)


def address_of(url: URL) -> Address:
    """Tell where a server listens: its host, or the directory of its socket; and its port."""
    host = url.query.get("host", url.host) or ""
    return host if isinstance(host, str) else ",".join(host), str(url.port or PORT)


# The shell's PGPASSWORD counts, and none that a file of settings brings later.
hide_password(os.environ.get("PGPASSWORD"))
