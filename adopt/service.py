"""A service, as far as adopting knows it."""

from dataclasses import dataclass, field
from typing import NamedTuple


class GuessError(Exception):
    """There is nothing to begin with. The message is for a person."""


class Place(NamedTuple):
    """Where a name of the service is defined."""

    module: str
    name: str


@dataclass
class Service:
    """What the adapter says of a service; the templates of `files/` take these by name."""

    slug: str
    package: str
    """The folder of the package, or its one file, as seen from the root."""
    pythonpath: str
    install: list[str]
    """What nox installs besides, in the words of its noxfile.py."""
    not_installed: str | None
    """What nox does not install, as a sentence."""
    folders: list[str]
    """Of tests, those that have a session of their own."""
    app: Place | None = None
    engine: Place | None = None
    factory: Place | None = None
    maker: Place | None = None
    extension: Place | None = None
    alembic_ini: str = "alembic.ini"
    has_toml: bool = False
    """Whether pyproject.toml has options of Alembic."""
    migrations: str = "alembic"
    versions: str = "alembic/versions"
    variable: str = "DATABASE_URL"
    parts: dict[str, str] = field(default_factory=dict)
    """The variables for the parts of a URL, by what SQLAlchemy calls these."""
    health: str = "/"
    is_async: bool = False
    is_sqlmodel: bool = False
    framework: str = "starlette"
    not_found: list[str] = field(default_factory=list)
    """What the owner must say, as the end of a sentence."""
