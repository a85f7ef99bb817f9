"""The one link to the service: its logical databases, migrations, settings and application."""

from collections.abc import Mapping
from typing import Final

from pydantic import SecretStr
from sqlalchemy import URL

from <<cookiecutter.package_name>> import migrations
from <<cookiecutter.package_name>>.app import create_app
from <<cookiecutter.package_name>>.databases import LOGICAL_DATABASES, Databases
from <<cookiecutter.package_name>>.demo import fill  # demo
from <<cookiecutter.package_name>>.settings import ENV_PREFIX, Settings

__all__ = [
    "ENV_PREFIX",
    "LOGICAL",
    "SERVICE",
    "Databases",
    "create_app",
    "fill",  # demo
    "migrations",
    "settings",
]

SERVICE: Final = "service"
"""The application_name of the service's sessions, wherever it runs on disposable databases."""
LOGICAL: Final = tuple(LOGICAL_DATABASES)
"""The logical databases, made and dropped together."""


def settings(urls: Mapping[str, URL]) -> Settings:
    """Make the service's settings for these databases; its sessions show under its name."""
    labelled = {
        logical: url.update_query_dict({"application_name": SERVICE})
        for logical, url in urls.items()
    }
    return Settings(
        database_urls={
            logical: SecretStr(url.render_as_string(hide_password=False))
            for logical, url in labelled.items()
        },
        development_mailbox=True,  # demo
    )
