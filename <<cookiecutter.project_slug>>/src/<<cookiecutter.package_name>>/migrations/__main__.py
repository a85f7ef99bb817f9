"""Migrate the configured databases to the newest revision: `python -m` this package."""

from sqlalchemy import create_engine

from <<cookiecutter.package_name>>.databases import LOGICAL_DATABASES
from <<cookiecutter.package_name>>.migrations import upgrade
from <<cookiecutter.package_name>>.settings import Settings


def main() -> None:
    """Migrate every logical database, each in one transaction."""
    urls = Settings().database_urls
    for logical in LOGICAL_DATABASES:
        engine = create_engine(urls[logical].get_secret_value())
        with engine.connect() as connection:
            upgrade(logical, connection)
        engine.dispose()


if __name__ == "__main__":
    main()
