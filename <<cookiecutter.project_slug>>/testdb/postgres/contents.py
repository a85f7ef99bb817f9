"""What a template holds, and the SQL that tells what was changed in a clone of it, and undoes it.

All clones of a template have the same contents down to the places of their rows, so a worker reads
them once.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

REFILL_ROWS: Final = 1000
"""How many rows are refilled at most, in all tables together; the smallest tables come first.

A row takes about 5 µs, so that more of them would take longer than a clone.
"""
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
SESSIONS: Final = SQL(
    "(SELECT pg_stat_get_db_numbackends(oid) FROM pg_database WHERE datname = current_database())"
)
"""How many sessions there are on the database."""


@dataclass(frozen=True, eq=False)
class Table:
    """A table or a materialised view."""

    oid: int
    name: Composable
    is_refillable: bool
    """It belongs to the service and to no extension; it has columns to insert into, no rules, and
    no policies that apply to us."""


class Seed:
    """A table with rows that the migrations wrote."""

    def __init__(self, connection: psycopg.Connection, table: Table) -> None:
        """Remember the rows, as text: a copy in the database would be in the way of changes."""
        columns = connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s"
            " AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
            [table.oid],
        ).fetchall()
        names = [Identifier(name) for (name,) in columns]
        self.table = table
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


class Contents:
    """What a database holds that nobody has used yet."""

    def __init__(self, connection: psycopg.Connection) -> None:
        """Read it.

        Raises:
            psycopg.Error: something may not be read.
        """
        tables = _read_tables(connection)
        ((next_one,),) = connection.execute(
            "SELECT pg_snapshot_xmax(pg_current_snapshot())::xid::text"
        ).fetchall()
        self._is_new = SQL("age(xmin) <= age({}::xid)").format(next_one)
        """Tells of a row whether it came later."""
        self._rows = rows = _count_rows(connection, tables)
        self.empty = [table for table in tables if table.oid not in rows]
        self.full = sorted((t for t in tables if t.oid in rows), key=lambda t: rows[t.oid])
        self.seeds: dict[Table, Seed] = {}
        """Of the tables that are not empty, those that can be refilled."""
        total = 0
        for table in self.full:
            total += rows[table.oid]
            if total <= REFILL_ROWS:
                self.seeds[table] = Seed(connection, table)
        self._references = connection.execute(
            "SELECT conrelid, confrelid FROM pg_constraint WHERE contype = 'f'"
        ).fetchall()
        (self.has_triggers,) = connection.execute(
            "SELECT EXISTS (SELECT FROM pg_trigger WHERE NOT tgisinternal) OR"
            " EXISTS (SELECT FROM pg_rewrite WHERE ev_class >= 16384 AND ev_type <> '1')"
        ).fetchall()[0]
        self._sequences = _read_sequences(connection)
        self.catalogs = connection.execute(
            "SELECT oid, relname FROM pg_class"
            " WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' AND NOT relisshared"
            " AND relname NOT IN ('pg_statistic', 'pg_statistic_ext_data')"
        ).fetchall()
        self._columns_of_class = _lasting_columns(connection)
        self._hashes = self._hash(connection, COMPARED)
        self.look = self._compose_look().as_bytes(connection)
        """The query behind a `Look`."""

    def has_same(self, connection: psycopg.Connection, catalogs: set[str]) -> bool:
        """Tell whether catalogs of a clone hold what they held; False where that is not known."""
        return catalogs <= self._hashes.keys() and all(
            # One at a time: pg_class, which is small, tells most changes.
            self._hash(connection, [name])[name] == self._hashes[name]
            for name in sorted(catalogs, key=lambda name: (name != "pg_class", name))
        )

    def only_grown(self, connection: psycopg.Connection, written: set[Table]) -> set[Table]:
        """Find the tables of a clone that still have all rows that they had, and perhaps more.

        An UPDATE makes a new row of an old one.
        """
        query = SQL("SELECT count(*) FROM ONLY {} WHERE NOT {}")
        return {
            table
            for table in written
            if table.is_refillable
            and connection.execute(query.format(table.name, self._is_new)).fetchall()
            == [(self._rows[table.oid],)]
        }

    def with_what_refers_to(self, tables: set[Table]) -> set[Table]:
        """Add the tables with rows that go, or are in the way, when those of others are deleted."""
        found: set[Table] = set()
        added = tables
        while added:
            found |= added
            oids = {table.oid for table in added}
            referring = {child for child, parent in self._references if parent in oids}
            added = {table for table in self.full if table.oid in referring} - found
        return found

    def restoring(
        self, grown: Collection[Table], seeds: Sequence[Seed], moved: Iterable[int]
    ) -> list[Composable]:
        """Compose the statements that put a clone back.

        Where there are triggers or rules, the last one tells if they were in the way.

        Args:
            grown: the tables whose new rows go.
            seeds: the tables to empty and refill.
            moved: the sequences to restart.
        """
        refilled = [seed.table for seed in seeds]
        delete, delete_new = SQL("DELETE FROM ONLY {}"), SQL("DELETE FROM ONLY {} WHERE {}")
        statements: list[Composable] = [
            *_at_once(
                [delete_new.format(table.name, self._is_new) for table in grown]
                + [delete.format(table.name) for table in refilled]
            ),
            *_at_once([seed.refill for seed in seeds]),
            *self._restart(moved),
        ]
        if self.has_triggers:
            others = {*self.empty, *self.full}.difference(refilled)
            statements += self._find_disturbance(grown, others)
        return statements

    def _find_disturbance(
        self, grown: Collection[Table], others: Collection[Table]
    ) -> list[Composable]:
        """Ask if triggers or rules kept rows, or wrote or deleted some, in this transaction."""
        exists = SQL("EXISTS (SELECT FROM {} WHERE {})")
        each = SQL("unnest({}::oid[]) t")
        written, deleted = ([t.oid for t in tables] for tables in (others, {*others} - {*grown}))
        signs = [
            exists.format(
                each.format(written),
                SQL("pg_stat_get_xact_tuples_inserted(t) + pg_stat_get_xact_tuples_updated(t) > 0"),
            ),
            exists.format(each.format(deleted), SQL("pg_stat_get_xact_tuples_deleted(t) > 0")),
            *(exists.format(SQL("ONLY {}").format(t.name), self._is_new) for t in grown),
        ]
        return [
            SQL("SET CONSTRAINTS ALL IMMEDIATE"),  # deferred triggers too have run then
            SQL("SELECT {}").format(SQL(" OR ").join(signs)),
        ]

    def _restart(self, moved: Iterable[int]) -> list[Composed]:
        return [
            SQL("SELECT setval({}, {}, {})").format(Literal(name.as_string()), value, called)
            for name, value, called in (self._sequences[number] for number in moved)
        ]

    def _compose_look(self) -> Composed:
        empty, full = [t.oid for t in self.empty], [t.oid for t in self.full]
        moved = [
            SQL("SELECT {} FROM {} WHERE (last_value, is_called) <> ({}, {})").format(n, *sequence)
            for n, sequence in enumerate(self._sequences)
        ] or [SQL("SELECT 0 LIMIT 0").format()]
        parts: list[Composable] = [
            SESSIONS,  # first: a session that ends after that would not have been counted yet
            _of_each(empty, SQL("pg_stat_get_tuples_inserted(t)")),
            _of_each(full, WRITES),
            _of_each(full, SQL("pg_relation_filenode(t)")),
            _of_each([oid for oid, _ in self.catalogs], WRITES),
            DATABASE,
            SQL("ARRAY({})").format(SQL(" UNION ALL ").join(moved)),
        ]
        return SQL("SELECT {}").format(SQL(", ").join(parts))

    def _hash(self, connection: psycopg.Connection, catalogs: Iterable[str]) -> dict[str, int]:
        """Hash what catalogs hold: any change gives a row a new xmin and place."""
        hashes = {name: self._hash_of(name) for name in catalogs}
        query = SQL("SELECT {}").format(SQL(", ").join(hashes.values()))
        return dict(zip(hashes, connection.execute(query).fetchall()[0], strict=True))

    def _hash_of(self, catalog: str) -> Composed:
        row = SQL("hash_record_extended((xmin, ctid), 0)").format()
        condition = SQL("true")
        if catalog == "pg_class":
            row = SQL("hashtextextended(concat_ws(' ', {}), 0)").format(self._columns_of_class)
        if catalog == "pg_namespace":
            condition = SQL("nspname !~ '^pg_(toast_)?temp_'")
        query = SQL("(SELECT sum({}) FROM {} WHERE {})")
        return query.format(row, Identifier(catalog), condition)


def _read_tables(connection: psycopg.Connection) -> list[Table]:
    found = connection.execute(
        "SELECT c.oid, nspname, relname,"
        " relkind = 'r' AND c.oid >= 16384 AND NOT relhasrules"
        "  AND NOT row_security_active(c.oid)"
        "  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass"
        "    AND objid = c.oid AND deptype = 'e')"
        "  AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0"
        "    AND NOT attisdropped AND attgenerated = '')"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE relkind IN ('r', 'm') AND relpersistence <> 't' AND nspname <> 'pg_catalog'"
    )
    return [Table(oid, Identifier(*name), own) for oid, *name, own in found]


def _count_rows(connection: psycopg.Connection, tables: Sequence[Table]) -> dict[int, int]:
    """Count rows, where there are any. What cannot be refilled counts as too many."""
    rows = {table.oid: REFILL_ROWS + 1 for table in tables if not table.is_refillable}
    own = {table.oid: table for table in tables if table.is_refillable}
    with_pages = connection.execute(
        "SELECT t FROM unnest(%s::oid[]) t WHERE pg_relation_size(t) > 0", [list(own)]
    )
    for (oid,) in with_pages.fetchall():
        query = SQL("SELECT count(*) FROM ONLY {}")
        (counted,) = connection.execute(query.format(own[oid].name)).fetchall()[0]
        if counted:
            rows[oid] = counted
    return rows


def _read_sequences(connection: psycopg.Connection) -> list[tuple[Composable, int, bool]]:
    found = connection.execute(
        "SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE relkind = 'S' AND relpersistence <> 't'"
    )
    names = [Identifier(*name) for name in found]
    states = [SQL("SELECT last_value, is_called FROM {}").format(name) for name in names]
    read = connection.execute(SQL(" UNION ALL ").join(states)) if states else ()
    return [(name, *state) for name, state in zip(names, read, strict=True)]


def _lasting_columns(connection: psycopg.Connection) -> Composed:
    columns = connection.execute(
        "SELECT attname FROM pg_attribute"
        " WHERE attrelid = 'pg_class'::regclass AND attnum > 0 AND attname <> ALL(%s)",
        [list(PASSING)],
    )
    return SQL(", ").join(Identifier(name) for (name,) in columns)


def _of_each(oids: Sequence[int], expression: Composable) -> Composed:
    return SQL("ARRAY(SELECT {} FROM unnest({}::oid[]) t)").format(expression, list(oids))


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
