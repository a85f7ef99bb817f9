"""The one link to the service: its logical databases, migrations, settings and application."""

from typing import Final

from <<cookiecutter.package_name>>.app import create_app
from <<cookiecutter.package_name>>.databases import LOGICAL_DATABASES, Databases
from <<cookiecutter.package_name>>.migrations import MIGRATIONS, upgrade
from <<cookiecutter.package_name>>.settings import ENV_PREFIX

__all__ = ["ENV_PREFIX", "LOGICAL", "MIGRATIONS", "Databases", "create_app", "upgrade"]

LOGICAL: Final = tuple(LOGICAL_DATABASES)
"""The logical databases, made and dropped together."""
