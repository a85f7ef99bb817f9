"""Run by Alembic, never imported: migrates over the connection that `alembic_config` was given."""

from contextlib import nullcontext

import alembic_postgresql_enum  # noqa: F401  compares enums, and drops their types in a downgrade
from alembic import context

import <<cookiecutter.package_name>>.app  # every model must be known to its metadata
import <<cookiecutter.package_name>>.migrations.constraints  # noqa: F401  compares constraints
from <<cookiecutter.package_name>>.databases import LOGICAL_DATABASES
from <<cookiecutter.package_name>>.migrations import connect

logical, given = (context.config.attributes[name] for name in ("logical", "connection"))
is_offline = context.is_offline_mode()  # --sql: statements for others to run
must_connect = given is None and not is_offline

with connect(logical) if must_connect else nullcontext(given) as connection:
    context.configure(
        connection,
        dialect_name="postgresql",
        literal_binds=is_offline,
        target_metadata=LOGICAL_DATABASES[logical],
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()
