"""Put a database back to what its template held, in a millisecond; or say why that fails.

PostgreSQL counts what is written to each table and to each catalog. A look at these counters tells
what a test has changed, without reading a row. Rows and sequences are put back; for whatever else
was changed the database is cloned anew: correctness comes from the clone, speed from the reset.

A session adds to the counters when it ends, or when it is told to: see sessions.py.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString, NamedTuple, TypeVar

import psycopg
from psycopg.rows import scalar_row
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from testdb.identity.errors import NotDisposableError
from testdb.identity.names import parse

REFILL_ROWS: Final = 1000
"""How many rows are refilled at most: at 5 µs a row, more of them take longer than a clone."""
SETTINGS: Final[tuple[LiteralString, ...]] = (
    "SET lock_timeout = '100ms'",  # then somebody still holds a lock
    "SET row_security = off",  # a policy that hides rows from us is an error then
    "SET stats_fetch_consistency = 'none'",
)
COMPARED: Final = (
    *("pg_attrdef", "pg_attribute", "pg_class", "pg_constraint", "pg_depend", "pg_index"),
    *("pg_inherits", "pg_namespace", "pg_rewrite", "pg_sequence", "pg_trigger", "pg_type"),
)
"""Catalogs that TRUNCATE and temporary tables write to as well: these are compared in full."""
PASSING: Final = (
    *("relfilenode", "relpages", "reltuples", "relallvisible", "relallfrozen"),
    *("relfrozenxid", "relminmxid"),
)
"""Columns of pg_class that TRUNCATE and VACUUM change."""
SCHEMA_CHANGED: Final = "the schema was changed"
FLUSH: Final = "SELECT pg_stat_force_next_flush()"
"""Has a session add to the counters as soon as it is idle."""
WRITES: Final = SQL(
    "pg_stat_get_tuples_inserted(t) + pg_stat_get_tuples_updated(t) + pg_stat_get_tuples_deleted(t)"
)
DATABASE: Final = SQL(
    "(SELECT concat_ws(' ', datdba, datacl, datconnlimit, datallowconn, datistemplate,"
    " shobj_description(d.oid, 'pg_database'), pg_stat_get_db_stat_reset_time(d.oid),"
    " (SELECT string_agg(concat_ws(' ', setrole, setconfig), ' ' ORDER BY setrole)"
    "  FROM pg_db_role_setting WHERE setdatabase = d.oid),"
    " (SELECT count(*) FROM pg_subscription WHERE subdbid = d.oid),"
    " (SELECT sum(hashtextextended(m::text, 0)) FROM pg_user_mappings m))"
    " FROM pg_database d WHERE datname = current_database())"
)
"""What is known of a database outside of it, and when somebody last set its counters to 0."""


@dataclass(frozen=True, eq=False)
class Table:
    """A table or a materialised view."""

    oid: int
    name: Composable
    is_refillable: bool
    """It is the service's own, and not an extension's; and a row can be inserted into it."""


class Look(NamedTuple):
    """What has been counted, and where the database differs from its template."""

    inserted: Sequence[int]
    """Rows, into each table that the template holds empty."""
    written: Sequence[int]
    """Rows of each other table."""
    files: Sequence[int]
    """Of those: TRUNCATE and REFRESH count no rows, and give a table a new file."""
    catalogs: Sequence[int]
    database: str
    moved: Sequence[int]
    """Sequences that are not where the template has them."""


class Seed:
    """A table with rows that the migrations wrote."""

    def __init__(self, connection: psycopg.Connection, table: Table) -> None:
        """Remember the rows, as text: a copy in the database would be in the way of changes."""
        self.table = table
        columns = connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s"
            " AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
            [table.oid],
        ).fetchall()
        names = [Identifier(name) for (name,) in columns]
        self._read = SQL("SELECT r::text FROM ONLY {} r").format(table.name)
        self._rows = self._read_rows(connection)
        self.refill = SQL(
            "INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE SELECT {values}"
            # OFFSET keeps the planner from parsing a row once for each column.
            " FROM (SELECT r::{table} AS r FROM unnest({rows}::text[]) r OFFSET 0) s"
        ).format(
            table=table.name,
            names=SQL(", ").join(names),
            values=SQL(", ").join(SQL("(r).{}").format(name) for name in names),
            rows=self._rows,
        )

    def is_complete(self, connection: psycopg.Connection) -> bool:
        """Tell whether the table holds again what it held."""
        return self._read_rows(connection) == self._rows

    def _read_rows(self, connection: psycopg.Connection) -> list[str]:
        return sorted(row for (row,) in connection.execute(self._read))


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
        for setting in SETTINGS:
            connection.execute(setting)
        self._obstacle: str | None = None
        try:
            self._prepare()
        except psycopg.Error as error:
            self._obstacle = _reason(error)
        if not self._ask(SQL("current_setting('track_counts')::bool")):
            self._obstacle = "the server counts nothing: track_counts is off"

    def _prepare(self) -> None:
        tables = self._tables()
        rows = self._count_rows(tables)
        self._empty = [table for table in tables if table.oid not in rows]
        self._full = sorted((t for t in tables if t.oid in rows), key=lambda t: rows[t.oid])
        self._seeds: dict[Table, Seed] = {}
        total = 0
        for table in self._full:
            total += rows[table.oid]
            if total <= REFILL_ROWS:
                self._seeds[table] = Seed(self._connection, table)
        self._references = self._connection.execute(
            "SELECT conrelid, confrelid FROM pg_constraint WHERE contype = 'f'"
        ).fetchall()
        self._has_triggers = self._ask(
            SQL(
                "EXISTS (SELECT FROM pg_trigger WHERE NOT tgisinternal) OR"
                " EXISTS (SELECT FROM pg_rewrite WHERE ev_class >= 16384 AND ev_type <> '1')"
            )
        )
        self._sequences = self._read_sequences()
        self._catalogs = self._connection.execute(
            "SELECT oid, relname FROM pg_class"
            " WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r'"
            " AND NOT relisshared AND relname NOT IN ('pg_statistic', 'pg_statistic_ext_data')"
        ).fetchall()
        self._hashes = self._hash_catalogs(COMPARED)
        self._looking = self._compose_look().as_bytes(self._connection)
        self._connection.execute(FLUSH)
        self._before = self._look()

    def reset(self) -> str | None:
        """Put the database back; None if that worked, else what stands in the way."""
        if self._obstacle:
            return self._obstacle
        try:
            return self._reset()
        except psycopg.errors.UndefinedTable:
            return SCHEMA_CHANGED
        except psycopg.Error as error:
            return _reason(error)

    def _reset(self) -> str | None:
        before, now = self._before, self._look()
        if now.database != before.database:
            return "settings, owner, rights or comment of the database were changed"
        if not self._has_its_schema(now):
            return SCHEMA_CHANGED
        filled = _changed(self._empty, before.inserted, now.inserted)
        touched = {
            *_changed(self._full, before.written, now.written),
            *_changed(self._full, before.files, now.files),
        }
        touched = self._with_what_refers_to(touched)
        if lost := touched - self._seeds.keys():
            names = ", ".join(sorted(table.name.as_string() for table in lost))
            return f"what is not refilled was changed: {names}"
        self._before = now
        if filled or touched or now.moved:
            return self._put_back(filled, [self._seeds[table] for table in touched], now.moved)
        return None

    def _with_what_refers_to(self, tables: set[Table]) -> set[Table]:
        """Add the tables with rows that go, or are in the way, when those of others are deleted."""
        found: set[Table] = set()
        added = tables
        while added:
            found |= added
            oids = {table.oid for table in added}
            referring = {child for child, parent in self._references if parent in oids}
            added = {table for table in self._full if table.oid in referring} - found
        return found

    def _has_its_schema(self, now: Look) -> bool:
        changed = _changed(self._catalogs, self._before.catalogs, now.catalogs)
        written = {name for _, name in changed}
        if not written:
            return True
        return written <= self._hashes.keys() and all(
            value == self._hashes[name] for name, value in self._hash_catalogs(written).items()
        )

    def _put_back(
        self, filled: Sequence[Table], seeds: Sequence[Seed], moved: Sequence[int]
    ) -> str | None:
        """Delete rows, refill seeds and restart sequences, in one transaction and round trip."""
        refilled = [seed.table for seed in seeds]
        others = [t.oid for t in (*self._empty, *self._full) if t not in refilled]
        statements = [
            *_at_once([_delete(table) for table in (*filled, *refilled)]),
            *_at_once([seed.refill for seed in seeds]),
            *self._restart(moved),
            SQL(FLUSH),
            *(_find_disturbance(filled, others) if self._has_triggers else []),
        ]
        # As one string: psycopg's pipeline takes three times as long on a local connection.
        cursor = self._connection.execute(SQL("; ").join(statements), prepare=False)
        while cursor.nextset():
            pass
        is_disturbed = self._has_triggers and cursor.fetchall() != [(False,)]
        if is_disturbed or not all(seed.is_complete(self._connection) for seed in seeds):
            return "rows cannot be put back: a trigger or a rule is in the way"
        self._before = self._look() if seeds else self._before._replace(moved=[])
        return None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _ask(self, expression: Composable) -> Any:  # noqa: ANN401  whatever the expression gives
        return _ask(self._connection, expression)

    def _look(self) -> Look:
        return Look(*self._connection.execute(self._looking, prepare=True).fetchall()[0])

    def _tables(self) -> list[Table]:
        found = self._connection.execute(
            "SELECT c.oid, nspname, relname, relkind = 'r' AND c.oid >= 16384 AND NOT relhasrules"
            "  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass"
            "    AND objid = c.oid AND deptype = 'e')"
            "  AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0"
            "    AND NOT attisdropped AND attgenerated = '')"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE relkind IN ('r', 'm') AND relpersistence <> 't' AND nspname <> 'pg_catalog'"
        )
        return [Table(oid, Identifier(*name), own) for oid, *name, own in found]

    def _count_rows(self, tables: Sequence[Table]) -> dict[int, int]:
        """Count rows, where there are any. What cannot be refilled counts as too many."""
        too_many = REFILL_ROWS + 1
        rows = {table.oid: too_many for table in tables if not table.is_refillable}
        own = {table.oid: table for table in tables if table.is_refillable}
        with_pages = self._connection.execute(
            "SELECT t FROM unnest(%s::oid[]) t WHERE pg_relation_size(t) > 0", [list(own)]
        )
        for (oid,) in with_pages.fetchall():
            query = SQL("(SELECT count(*) FROM (SELECT FROM ONLY {} LIMIT {}) rows)")
            if counted := self._ask(query.format(own[oid].name, too_many)):
                rows[oid] = counted
        return rows

    def _read_sequences(self) -> list[tuple[Composable, int, bool]]:
        found = self._connection.execute(
            "SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE relkind = 'S' AND relpersistence <> 't'"
        )
        names = [Identifier(*name) for name in found]
        states = [SQL("SELECT last_value, is_called FROM {}").format(name) for name in names]
        read = self._connection.execute(SQL(" UNION ALL ").join(states)) if states else ()
        return [(name, *state) for name, state in zip(names, read, strict=True)]

    def _compose_look(self) -> Composed:
        empty, full = [t.oid for t in self._empty], [t.oid for t in self._full]
        moved = [
            SQL("SELECT {} FROM {} WHERE (last_value, is_called) <> ({}, {})").format(n, *sequence)
            for n, sequence in enumerate(self._sequences)
        ]
        parts: list[Composable] = [
            _of_each(empty, SQL("pg_stat_get_tuples_inserted(t)")),
            _of_each(full, WRITES),
            _of_each(full, SQL("pg_relation_filenode(t)")),
            _of_each([oid for oid, _ in self._catalogs], WRITES),
            DATABASE,
            SQL("ARRAY({})").format(
                SQL(" UNION ALL ").join(moved or [SQL("SELECT 0 LIMIT 0").format()])
            ),
        ]
        return SQL("SELECT {}").format(SQL(", ").join(parts))

    def _hash_catalogs(self, names: Iterable[str]) -> dict[str, int]:
        """Hash what catalogs hold: any change gives a row a new xmin and place."""
        hashes = {name: self._hash_of(name) for name in names}
        query = SQL("SELECT {}").format(SQL(", ").join(hashes.values()))
        return dict(zip(hashes, self._connection.execute(query).fetchall()[0], strict=True))

    def _hash_of(self, catalog: str) -> Composed:
        row = SQL("hash_record_extended((xmin, ctid), 0)").format()
        condition = SQL("true")
        if catalog == "pg_class":
            columns = self._connection.execute(
                "SELECT attname FROM pg_attribute"
                " WHERE attrelid = 'pg_class'::regclass AND attnum > 0 AND attname <> ALL(%s)",
                [list(PASSING)],
            )
            lasting = SQL(", ").join(Identifier(name) for (name,) in columns)
            row = SQL("hashtextextended(concat_ws(' ', {}), 0)").format(lasting)
        if catalog == "pg_namespace":
            condition = SQL("nspname !~ '^pg_(toast_)?temp_'")
        query = SQL("(SELECT sum({}) FROM {} WHERE {})")
        return query.format(row, Identifier(catalog), condition)

    def _restart(self, moved: Iterable[int]) -> list[Composed]:
        return [
            SQL("SELECT setval({}, {}, {})").format(Literal(name.as_string()), value, called)
            for name, value, called in (self._sequences[number] for number in moved)
        ]


T = TypeVar("T")


def _changed(things: Sequence[T], before: Sequence[int], now: Sequence[int]) -> list[T]:
    if before == now:
        return []
    return [thing for thing, was, is_ in zip(things, before, now, strict=True) if was != is_]


def _ask(connection: psycopg.Connection, expression: Composable) -> Any:  # noqa: ANN401
    cursor = connection.cursor(row_factory=scalar_row)
    return cursor.execute(SQL("SELECT {}").format(expression)).fetchone()


def _of_each(oids: Sequence[int], expression: Composable) -> Composed:
    return SQL("ARRAY(SELECT {} FROM unnest({}::oid[]) t)").format(expression, list(oids))


def _find_disturbance(emptied: Iterable[Table], others: Sequence[int]) -> list[Composable]:
    """Ask if triggers or rules kept rows, or wrote some, in this transaction."""
    rows = [SQL("EXISTS (SELECT FROM ONLY {})").format(table.name) for table in emptied]
    writes = SQL(
        "EXISTS (SELECT FROM unnest({}::oid[]) t WHERE"
        " pg_stat_get_xact_tuples_inserted(t) + pg_stat_get_xact_tuples_updated(t) > 0)"
    ).format(others)
    return [
        SQL("SET CONSTRAINTS ALL IMMEDIATE"),  # deferred triggers too have run then
        SQL("SELECT {}").format(SQL(" OR ").join([writes, *rows])),
    ]


def _delete(table: Table) -> Composed:
    return SQL("DELETE FROM ONLY {}").format(table.name)


def _at_once(statements: Sequence[Composed]) -> list[Composed]:
    """Make one statement of several: foreign keys are checked at its end, whatever the order."""
    if not statements:
        return []
    named = [
        SQL("{} AS ({})").format(Identifier(f"s{number}"), statement)
        for number, statement in enumerate(statements[1:])
    ]
    together = SQL("WITH {} ").format(SQL(", ").join(named)) if named else SQL("").format()
    return [together + statements[0]]


def _reason(error: psycopg.Error) -> str:
    return str(error).partition("\n")[0]
