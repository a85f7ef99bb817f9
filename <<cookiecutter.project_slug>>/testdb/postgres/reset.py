"""Put a database back to what its template held, in a millisecond or two; or say why that fails.

A function that is this session's own (in pg_temp: nobody else sees it) puts rows and sequences
back. What it cannot undo it notices, and then the database is cloned anew: correctness comes from
the clone, speed from the reset.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, LiteralString

import psycopg
from psycopg.rows import scalar_row
from psycopg.sql import SQL, Composable, Identifier, Literal

from testdb.identity.errors import NotDisposableError
from testdb.identity.names import parse

LOCK_TIMEOUT: Final = "100ms"
"""How long to wait for a lock that somebody still holds, before the database is cloned anew."""

TRACES: Final[tuple[LiteralString, ...]] = (
    *(
        f"{catalog} r JOIN pg_namespace n ON n.oid = r.{column}"
        f" WHERE r.oid >= 16384 AND nspname !~ '^pg_(toast_)?temp'"
        for catalog, column in (
            ("pg_class", "relnamespace"),
            ("pg_constraint", "connamespace"),
            ("pg_proc", "pronamespace"),
            ("pg_type", "typnamespace"),
        )
    ),
    *(
        f"{catalog} r JOIN pg_class c ON c.oid = r.{column}"
        f" WHERE c.oid >= 16384 AND relpersistence <> 't'"
        for catalog, column in (
            ("pg_attrdef", "adrelid"),
            ("pg_attribute", "attrelid"),
            ("pg_policy", "polrelid"),
            ("pg_rewrite", "ev_class"),
            ("pg_sequence", "seqrelid"),
            ("pg_statistic_ext", "stxrelid"),
            ("pg_trigger", "tgrelid"),
        )
    ),
    "pg_namespace r WHERE nspname !~ '^pg_(toast_)?temp'",
    *(f"{name} r" for name in ("pg_default_acl", "pg_enum", "pg_extension")),
    "pg_largeobject_metadata r",
)
"""Where DDL and TRUNCATE leave a trace: any change gives a catalog row a new xmin and place.

Objects made after initdb have oids from 16384 on (FirstNormalObjectId). Temporary ones do not
count: they go with their session.
"""

FUNCTION: Final = """
CREATE FUNCTION pg_temp.reset_database() RETURNS text LANGUAGE plpgsql
SET lock_timeout = {lock_timeout} AS $function$
BEGIN
    IF EXISTS (
        SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
            AND xact_start IS NOT NULL AND backend_type = 'client backend'
    ) THEN
        RETURN 'a session is still in a transaction';
    END IF;
    IF {schema} IS DISTINCT FROM {schema_before} THEN
        RETURN 'its schema was changed, or a table truncated';
    END IF;
    IF {seeds} IS DISTINCT FROM {seeds_before} THEN
        {delete_all}
        {refill}
    ELSE
        {delete}
    END IF;
    {restart_sequences}
    IF {rows_left} OR {seeds} IS DISTINCT FROM {seeds_before} THEN
        RETURN 'its rows cannot be restored: a trigger writes others';
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLERRM;
END $function$
"""


class Resetter:
    """Puts one database back to what it held when this was made: make it right after cloning."""

    def __init__(self, connection: psycopg.Connection) -> None:
        """Look at the fresh database, and prepare its reset.

        Args:
            connection: to that database, in autocommit mode. It becomes the resetter's own.

        Raises:
            NotDisposableError: the server says that it is another database.
        """
        self._connection = connection
        database = self._ask(SQL("current_database()"))
        if parse(database) is None:
            raise NotDisposableError(database, "a reset deletes its rows")
        tables = self._relations("relkind IN ('r', 'p') AND NOT relispartition")
        views = self._relations("relkind = 'm'")
        seeded = [table for table in tables if self._ask(_some_row(table))]
        empty = [table for table in tables if table not in seeded]
        copies = [(table, Identifier("pg_temp", f"seed_{n}")) for n, table in enumerate(seeded)]
        for table, copy in copies:
            connection.execute(SQL("CREATE TEMPORARY TABLE {} AS TABLE {}").format(copy, table))
        schema = _hash("concat(r.xmin, r.ctid)", map(SQL, TRACES))
        seeds = _hash("r::text", (SQL("{} r").format(relation) for relation in seeded + views))
        connection.execute(
            SQL(FUNCTION).format(
                lock_timeout=Literal(LOCK_TIMEOUT),
                schema=schema,
                schema_before=Literal(self._ask(schema)),
                seeds=seeds,
                seeds_before=Literal(self._ask(seeds)),
                delete=_at_once([_delete(table) for table in empty]),
                delete_all=_at_once([_delete(table) for table in tables]),
                refill=_at_once([self._refill(table, copy) for table, copy in copies]),
                restart_sequences=SQL("").join(self._restarts()),
                rows_left=SQL(" OR ").join([SQL("false"), *map(_some_row, empty)]),
            )
        )

    def reset(self) -> str | None:
        """Put the database back; None if that worked, else what stands in the way."""
        try:
            reason: str | None = self._ask(SQL("pg_temp.reset_database()"))
        except psycopg.Error as error:
            return str(error)
        return reason

    def close(self) -> None:
        """Close the connection; the function goes with it."""
        self._connection.close()

    def _ask(self, expression: Composable) -> Any:  # noqa: ANN401  whatever the expression gives
        cursor = self._connection.cursor(row_factory=scalar_row)
        return cursor.execute(SQL("SELECT {}").format(expression)).fetchone()

    def _relations(self, condition: LiteralString) -> list[Composable]:
        """Find relations that are the service's own: not PostgreSQL's, not an extension's."""
        found = self._connection.execute(
            SQL(
                "SELECT nspname, relname"
                " FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
                " WHERE c.oid >= 16384 AND relpersistence <> 't' AND {}"
                " AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e')"
            ).format(SQL(condition))
        )
        return [Identifier(*name) for name in found]

    def _refill(self, table: Composable, copy: Composable) -> Composable:
        columns = self._connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass"
            " AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
            [table.as_string(self._connection)],
        )
        names = SQL(", ").join(Identifier(name) for (name,) in columns)
        insert = SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}")
        return insert.format(table, names, names, copy)

    def _restarts(self) -> Iterator[Composable]:
        for sequence in self._relations("relkind = 'S'"):
            name = Literal(sequence.as_string(self._connection))
            select = SQL("SELECT last_value, is_called FROM {}").format(sequence)
            ((value, called),) = self._connection.execute(select).fetchall()
            yield SQL(
                "PERFORM setval({}, {}, {}) FROM {} WHERE (last_value, is_called) <> ({}, {});"
            ).format(name, value, called, sequence, value, called)


def _some_row(table: Composable) -> Composable:
    return SQL("EXISTS (SELECT FROM {})").format(table)


def _delete(table: Composable) -> Composable:
    return SQL("DELETE FROM {}").format(table)


def _hash(expression: LiteralString, relations: Iterable[Composable]) -> Composable:
    """Hash the rows of relations (each called `r`), in whatever order they come."""
    sums = [
        SQL("(SELECT sum(hashtextextended({}, 0)) FROM {})").format(SQL(expression), relation)
        for relation in relations
    ]
    return SQL("concat_ws(' ', '', {})").format(SQL(", ").join([SQL("''"), *sums]))


def _at_once(statements: Sequence[Composable]) -> Composable:
    """Make one statement of several: foreign keys are checked at its end, whatever the order."""
    if not statements:
        return SQL("")
    named = [
        SQL("{} AS ({})").format(Identifier(f"s{number}"), statement)
        for number, statement in enumerate(statements[1:])
    ]
    first = SQL("WITH {} ").format(SQL(", ").join(named)) if named else SQL("")
    return first + statements[0] + SQL(";")
