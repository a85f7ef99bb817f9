"""Compare what Alembic does not: CHECK and EXCLUDE constraints, and how indexes are defined.

PostgreSQL stores definitions in words of its own. So each table of the models is made a second
time, as a temporary one, and what it has is read from the catalog like what the migrations made.
"""

import re
from typing import Final, NamedTuple

from alembic.autogenerate import comparators, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import (
    AddColumnOp,
    AlterColumnOp,
    CreateIndexOp,
    DropIndexOp,
    ExecuteSQLOp,
    ModifyTableOps,
)
from alembic.util import DispatchPriority
from sqlalchemy import CheckConstraint, Connection, MetaData, Table, text
from sqlalchemy.exc import DBAPIError

STORED: Final = text("""
    SELECT conname, 'CONSTRAINT', replace(pg_get_constraintdef(oid), ' NOT VALID', '')
    FROM pg_constraint
    WHERE conrelid = CAST(:table AS regclass) AND contype IN ('c', 'x') AND coninhcount = 0
    UNION ALL
    SELECT relname, CASE WHEN indisunique THEN 'UNIQUE INDEX' ELSE 'INDEX' END,
        substring(pg_get_indexdef(indexrelid) FROM ' (USING .*)')
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indrelid = CAST(:table AS regclass) AND NOT EXISTS (
        SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x')
    )
""")


class Part(NamedTuple):
    """A constraint, or an index that belongs to none, as PostgreSQL stores it."""

    name: str
    kind: str
    definition: str


class Statement(ExecuteSQLOp):
    """A statement of a migration, and the one that undoes it."""

    def __init__(self, sql: str, undo: str) -> None:
        """Take both in SQL."""
        super().__init__(sql)
        self.sql, self.undo = sql, undo

    def reverse(self) -> "Statement":
        """Swap them, for the downgrade."""
        return Statement(self.undo, self.sql)

    def to_diff_tuple(self) -> tuple[str, str]:
        """Describe it, as Alembic's own operations do."""
        return "execute", self.sql


@renderers.dispatch_for(Statement)
def render(_: AutogenContext, statement: Statement) -> str:
    """Write it, with a backslash before what SQLAlchemy would take for a parameter."""
    escaped = re.sub(r"(?<!:):(?=\w)", r"\\:", statement.sql)
    return f"op.execute({escaped!r})"


@comparators.dispatch_for("table", qualifier="postgresql", priority=DispatchPriority.LAST)
def compare(
    context: AutogenContext,
    changes: ModifyTableOps,
    _schema: str | None,
    _name: str,
    found: Table | None,
    wanted: Table | None,
) -> None:
    """Add the differences that Alembic does not find to the changes of a table."""
    connection = context.connection
    if connection is None or wanted is None:
        return
    preparer = connection.dialect.identifier_preparer
    table = preparer.format_table(wanted)
    schema = f"{preparer.quote_schema(wanted.schema)}." if wanted.schema else ""

    def create(part: Part) -> str:
        name = preparer.quote(part.name)
        if part.kind == "CONSTRAINT":
            return f"ALTER TABLE {table} ADD CONSTRAINT {name} {part.definition}"
        return f"CREATE {part.kind} {name} ON {table} {part.definition}"

    def drop(part: Part) -> str:
        name = preparer.quote(part.name)
        if part.kind == "CONSTRAINT":
            return f"ALTER TABLE {table} DROP CONSTRAINT {name}"
        return f"DROP INDEX {schema}{name}"

    old = set() if found is None else read(connection, table)
    try:
        new = read_model(connection, wanted)
    except DBAPIError:
        if found is not None and not changes.ops:
            raise
        return  # perhaps an extension is missing that this migration or one before it will make
    ours = left_to_us(old, new, found, wanted, changes)
    gone = [part for part in sorted(old - new) if part.name in ours]
    come = [p for p in sorted(new - old) if p.name in ours - made_with_columns(wanted, changes)]
    changes.ops[:0] = [Statement(drop(part), create(part)) for part in gone]
    changes.ops += [Statement(create(part), drop(part)) for part in come]


def read(connection: Connection, table: str) -> set[Part]:
    """Read what a table has."""
    return {Part(*row) for row in connection.execute(STORED, {"table": table})}


def read_model(connection: Connection, table: Table) -> set[Part]:
    """Make a table as the models describe it, a temporary one; read what it has, and undo it."""
    conventions = MetaData(naming_convention=table.metadata.naming_convention)
    copy = table.to_metadata(conventions, schema="pg_temp")  # its enums too, with new values
    copy.constraints -= copy.foreign_key_constraints
    for index in copy.indexes:
        index.dialect_options["postgresql"]["concurrently"] = False  # else in no transaction
    savepoint = connection.begin_nested()
    try:
        copy.create(connection)
        return read(connection, connection.dialect.identifier_preparer.format_table(copy))
    finally:
        savepoint.rollback()


def left_to_us(
    old: set[Part], new: set[Part], found: Table | None, wanted: Table, changes: ModifyTableOps
) -> set[str]:
    """Name the parts that differ and that Alembic does not compare."""
    differ = {part.name for part in old ^ new}
    if found is None:  # Alembic makes a new table without the checks that stand in a column
        return differ & {str(part.name) for col in wanted.columns for part in col.constraints}
    constraints = {part.name for part in old | new if part.kind == "CONSTRAINT"}
    in_both = {part.name for part in old} & {part.name for part in new}
    told = {op.index_name for op in changes.ops if isinstance(op, CreateIndexOp | DropIndexOp)}
    return differ & (constraints | in_both) - told


def made_with_columns(table: Table, changes: ModifyTableOps) -> set[str]:
    """Name the constraints of types that Alembic makes as it adds or alters a column."""
    touched = {op.column.name for op in changes.ops if isinstance(op, AddColumnOp)} | {
        op.column_name for op in changes.ops if isinstance(op, AlterColumnOp) and op.modify_type
    }
    return {
        str(part.name)
        for part in table.constraints
        if isinstance(part, CheckConstraint)
        and part._type_bound  # noqa: SLF001  there is no other way
        and not touched.isdisjoint(part.columns.keys())
    }
