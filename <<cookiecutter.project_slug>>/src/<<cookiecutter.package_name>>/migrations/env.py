"""Run by Alembic, never imported: migrates on the connection that `alembic_config` was given."""

from alembic import context

import <<cookiecutter.package_name>>.app  # noqa: F401  every model must be known to its metadata
from <<cookiecutter.package_name>>.databases import LOGICAL_DATABASES

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"], target_metadata=LOGICAL_DATABASES[attributes["logical"]]
)
with context.begin_transaction():
    context.run_migrations()
