"""Compare what Alembic does not: CHECK and EXCLUDE constraints, and the predicates of indexes.

PostgreSQL stores a definition in words of its own. What a model says is therefore made on an empty
temporary copy of the table, read there, and undone.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import wrap
from typing import Final, NamedTuple

from alembic.autogenerate import comparators, renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import (
    AddColumnOp,
    AddConstraintOp,
    AlterColumnOp,
    CreateIndexOp,
    DropIndexOp,
    ExecuteSQLOp,
    ModifyTableOps,
)
from alembic.util import DispatchPriority, PriorityDispatchResult
from sqlalchemy import CheckConstraint, Connection, Index, Table, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import AddConstraint, CreateIndex, CreateTable

Part = CheckConstraint | ExcludeConstraint | Index
STORED: Final = text("""
    SELECT conname, 'CONSTRAINT', replace(pg_get_constraintdef(oid), ' NOT VALID', ''),
        coninhcount > 0
    FROM pg_constraint WHERE conrelid = CAST(:table AS regclass) AND contype IN ('c', 'x')
    UNION ALL
    SELECT relname, CASE WHEN indisunique THEN 'UNIQUE INDEX' ELSE 'INDEX' END,
        substring(pg_get_indexdef(indexrelid) FROM ' (USING .*)'), false
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indrelid = CAST(:table AS regclass) AND NOT EXISTS (
        SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x')
    )
""")


class Stored(NamedTuple):
    """A constraint, or an index that belongs to none, as PostgreSQL has it."""

    name: str
    kind: str
    definition: str
    is_inherited: bool


class Statement(ExecuteSQLOp):
    """A statement of a migration, and the one that undoes it."""

    def __init__(self, sql: str, undo: str) -> None:
        """Take both in SQL."""
        super().__init__(escape(sql))
        self.sql, self.undo = sql, undo

    def reverse(self) -> "Statement":
        """Swap them, for the downgrade."""
        return Statement(self.undo, self.sql)

    def to_diff_tuple(self) -> tuple[str, str]:
        """Describe it, as Alembic's own operations do."""
        return "execute", self.sql


@renderers.dispatch_for(Statement)
def render(_: AutogenContext, statement: Statement) -> str:
    """Write it in lines that are not too long."""
    sql = str(statement.sqltext)
    lines = wrap(sql, 88, drop_whitespace=False, replace_whitespace=False, break_long_words=False)
    literals = "\n".join(repr(line) for line in lines)
    return f"op.execute({literals})"


@comparators.dispatch_for("table", qualifier="postgresql", priority=DispatchPriority.LAST)
def compare(
    context: AutogenContext,
    changes: ModifyTableOps,
    _schema: str | None,
    _name: str,
    found: Table | None,
    wanted: Table | None,
) -> PriorityDispatchResult:
    """Add to the changes of a table what differs besides all that Alembic has found."""
    connection, table = context.connection, wanted if found is None else found
    if connection is None or table is None:
        return PriorityDispatchResult.CONTINUE
    preparer = connection.dialect.identifier_preparer
    on, quote = preparer.format_table(table), preparer.quote
    schema = f"{preparer.quote_schema(table.schema)}." if table.schema else ""

    def create(old: Stored) -> str:
        if old.kind == "CONSTRAINT":
            return f"ALTER TABLE {on} ADD CONSTRAINT {quote(old.name)} {old.definition}"
        return f"CREATE {old.kind} {quote(old.name)} ON {on} {old.definition}"

    def drop(name: str, kind: str) -> str:
        if kind == "CONSTRAINT":
            return f"ALTER TABLE {on} DROP CONSTRAINT {quote(name)}"
        return f"DROP INDEX {schema}{quote(name)}"

    stored = {} if found is None else {old.name: old for old in read(connection, on)}
    described = [] if wanted is None else list(describe(connection, stored, found, wanted))
    different = {
        name: part
        for name, part, made in described
        if is_different(part, stored.get(name), made, changes)
    }
    gone = stored.keys() - {name for name, _, _ in described}
    changes.ops[:0] = [
        Statement(drop(name, old.kind), create(old))
        for name, old in stored.items()
        if name in different or (name in gone and is_to_go(old, wanted))
    ]
    for name, part in different.items():
        if not comes_with_type(part, changes):
            kind = "INDEX" if isinstance(part, Index) else "CONSTRAINT"
            changes.ops.append(Statement(spell(connection, part, name), drop(name, kind)))
    return PriorityDispatchResult.CONTINUE


def read(connection: Connection, table: str) -> list[Stored]:
    """Read what a table has."""
    return [Stored(*row) for row in connection.execute(STORED, {"table": table})]


def describe(
    connection: Connection, stored: dict[str, Stored], found: Table | None, wanted: Table
) -> Iterator[tuple[str, Part, Stored | None]]:
    """List what a model has: its name, itself, and what PostgreSQL makes of it in the table found.

    That is None where it cannot be made there, as a column is missing perhaps.
    """
    dialect = connection.dialect
    compiler = dialect.ddl_compiler(dialect, CreateTable(wanted))
    # Of a new table, Alembic forgets only the constraints that stand in a column.
    every = [part for column in wanted.columns for part in column.constraints]
    every += [] if found is None else wanted.constraints
    parts: list[Part] = [
        part
        for part in every
        if isinstance(part, CheckConstraint | ExcludeConstraint)
        and part._should_create_for_compiler(compiler)  # noqa: SLF001  there is no other way
    ]
    parts += [] if found is None else wanted.indexes
    with undone(connection):
        copy = None if found is None else copy_of(connection, found)
        for part in sorted(parts, key=lambda part: str(part.name)):
            made = make(connection, part, copy) if copy else None
            name = str(part.name or f"{wanted.name}_excl")
            if made:  # PostgreSQL has shortened the name, or found one and perhaps counted
                same = (old for old in stored.values() if old.definition == made.definition)
                name = next(same, made).name if part.name is None else made.name
            yield name, part, made


def copy_of(connection: Connection, table: Table) -> str:
    """Make an empty temporary copy of a table, of its columns alone."""
    preparer = connection.dialect.identifier_preparer
    copy = f"pg_temp.{preparer.quote(table.name)}"
    create = f"CREATE TEMPORARY TABLE {copy} (LIKE {preparer.format_table(table)})"
    connection.execute(text(escape(create)))
    return copy


@contextmanager
def undone(connection: Connection) -> Iterator[None]:
    """Undo what is done in the block."""
    savepoint = connection.begin_nested()
    try:
        yield
    finally:
        savepoint.rollback()


def make(connection: Connection, part: Part, copy: str) -> Stored | None:
    """Make a part in the copy of its table, to see how it is stored; None if that fails."""
    try:
        with undone(connection):
            connection.execute(text(escape(spell(connection, part, elsewhere="pg_temp"))))
            return read(connection, copy)[0]
    except DBAPIError:
        return None


def spell(
    connection: Connection, part: Part, name: str | None = None, elsewhere: str | None = None
) -> str:
    """Spell the statement that makes it: by this name if it has none, in its schema or another."""
    dialect = connection.dialect
    ddl: AddConstraint | CreateIndex
    if isinstance(part, Index):
        ddl, table = CreateIndex(part), part.table
    else:
        constraint = AddConstraintOp.from_constraint(part).to_constraint()
        ddl, table = AddConstraint(constraint, isolate_from_table=False), constraint.table
    schemas = {table.schema: elsewhere} if table is not None and elsewhere else None
    sql = str(
        ddl.compile(
            dialect=dialect,
            schema_translate_map=schemas,
            render_schema_translate=schemas is not None,
        )
    )
    if part.name is None and name:
        named = f" ADD CONSTRAINT {dialect.identifier_preparer.quote(name)} "
        sql = sql.replace(" ADD ", named, 1)
    # A driver takes % doubled, and nothing that is CONCURRENT stands in a transaction.
    return sql.replace("%%", "%").replace(" INDEX CONCURRENTLY ", " INDEX ", 1)


def is_different(
    part: Part, old: Stored | None, made: Stored | None, changes: ModifyTableOps
) -> bool:
    """Tell whether a model's part is not what is stored, and Alembic has not told it."""
    if isinstance(part, Index) and (
        old is None
        or any(
            isinstance(op, CreateIndexOp | DropIndexOp) and op.index_name == old.name
            for op in changes.ops
        )
    ):
        return False
    if old is None:
        return True
    return not old.is_inherited and (made is None or made.definition != old.definition)


def is_to_go(old: Stored, wanted: Table | None) -> bool:
    """Tell whether what no model has is to be dropped here: Alembic tells of indexes.

    It makes a table that it dropped again with all constraints but those that EXCLUDE.
    """
    is_ours = old.kind == "CONSTRAINT" and not old.is_inherited
    return is_ours and (wanted is not None or old.definition.startswith("EXCLUDE"))


def comes_with_type(part: Part, changes: ModifyTableOps) -> bool:
    """Tell whether it belongs to the type of a column that Alembic adds or alters, and makes it."""
    touched = {op.column.name for op in changes.ops if isinstance(op, AddColumnOp)} | {
        op.column_name
        for op in changes.ops
        if isinstance(op, AlterColumnOp) and op.modify_type is not None
    }
    return (
        isinstance(part, CheckConstraint)
        and part._type_bound  # noqa: SLF001  there is no other way
        and not touched.isdisjoint(part.columns.keys())
    )


def escape(sql: str) -> str:
    """Escape what SQLAlchemy would take for the name of a parameter."""
    return re.sub("(?<!:):(?!:)", r"\:", sql)
