"""psql, for people: the URI that it reads, and the program itself on a database."""

import subprocess
from urllib.parse import quote

from sqlalchemy import URL

from testdb.postgres.embedded.home import installed_program


def psql_uri(url: URL) -> str:
    """Spell a URL as psql reads it; where a password is needed, psql asks for it.

    SQLAlchemy writes a space as `+`, which libpq does not read; hence our own quoting.
    """
    user = f"{quote(url.username, safe='')}@" if url.username else ""
    host = f"[{url.host}]" if url.host and ":" in url.host else (url.host or "")
    port = f":{url.port}" if url.port else ""
    query = "&".join(f"{key}={quote(str(value), safe='')}" for key, value in url.query.items())
    return f"postgresql://{user}{host}{port}/{quote(url.database or '', safe='')}" + (
        f"?{query}" if query else ""
    )


def open_psql(url: URL) -> None:
    """Open psql, which the wheel brings along, and wait until it is closed."""
    subprocess.run([str(installed_program("psql")), psql_uri(url)], check=False)
