"""Databases that only look disposable survive every sweep and every drop; each refusal says why."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from psycopg import sql

from faults.process import Process, Processes, RefusedByTestdbError
from harness.external import ADMINISTRATOR, ROLE, ExternalServer
from harness.project import Project

LONGEST: Final = 63
"""Bytes of a name: PostgreSQL cuts off what is longer."""
SYSTEM: Final = ("postgres", "template0", "template1")
OPERATIONS: Final = 8
"""Sweeps or drops that each canary has to survive."""

Canary = tuple[str, str | None]


@pytest.fixture(scope="module")
def process(processes: Processes, project: Project) -> Iterator[Process]:
    """A process of the project that every canary is to survive."""
    with processes(project) as (process,):
        yield process


def other_spellings(name: str, marker: str, other: str) -> dict[str, Canary]:
    """Make databases that differ in one thing from one that is disposable.

    Args:
        name: of a disposable database, and
        marker: its marker.
        other: name of another disposable database.
    """
    said = json.loads(marker)
    last = "a" if name[-1] != "a" else "b"
    return {
        "a prefix without a marker": ("testdb_production", None),
        "a prefix and a field too few": (name.rpartition("_")[0], None),
        "wrong check digits": (name[:-1] + last, None),
        "wrong check digits, and the marker": (name[:-1] + last, marker),
        "a marker without the name": ("production", marker),
        "the marker of another database": (other, marker),
        "the marker of another project": (name, json.dumps(said | {"project": "other"})),
        "the marker of another run": (name, json.dumps(said | {"run": "0123456789"})),
        "another kind of marker": (name, json.dumps(said | {"version": 2})),
        "no marker but a comment": (name, "the database of Ada, do not drop"),
        "half a marker": (name, marker[:-1]),
        "the name in capitals": (name.upper(), marker),
        "one capital letter": (name.replace("t", "T", 1), marker),
        "percent signs": (name.replace("_", "%"), marker),
        "a percent sign at the end": (name[:-1] + "%", marker),
        "a wildcard for one character": (name[:-1] + "_", marker),
        "quotes": (f'"{name[:-2]}"', marker),
        "an apostrophe": (name[:-1] + "'", marker),
        "a space at the end": (name[:-1] + " ", marker),
        "a name inside a name": ("x" + name[:-1], marker),
    }


@contextmanager
def canaries(server: ExternalServer, wanted: list[Canary]) -> Iterator[dict[int, str]]:
    """Have databases that belong to the very role that testdb uses, until the context ends."""
    with server.connect() as connection:
        for name, comment in wanted:
            identifier = sql.Identifier(name)
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(identifier, sql.Identifier(ROLE))
            )
            connection.execute(
                sql.SQL("COMMENT ON DATABASE {} IS {}").format(identifier, sql.Literal(comment))
            )
        names = {name for name, _ in wanted}
        try:
            yield {oid: name for oid, name in server.databases().items() if name in names}
        finally:
            for name in names:
                drop = sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))
                connection.execute(drop)


def do(process: Process, name: str, dice: random.Random) -> None:
    """Drop this one, or sweep, in any way that there is; whatever is said of it must say why."""
    if dice.random() < 0.5:
        try:
            process.ask("drop", name=name, end_sessions=dice.random() < 0.5)
        except RefusedByTestdbError as refusal:
            said = str(refusal)
        else:
            pytest.fail(f"db.drop takes {name!r} for disposable")
        for part in (repr(name), "is not a disposable database: ", "Nothing was changed"):
            assert part in said
    else:
        options = {flag: dice.random() < 0.5 for flag in ("kept", "templates", "force")}
        verdicts = process.ask("sweep", **options)
        if name in verdicts:
            goes, why = verdicts[name]
            assert not goes, f"db.sweep takes {name!r} for disposable"
            assert why.startswith("not disposable: ")


def test_every_look_alike_survives(process: Process, external_server: ExternalServer) -> None:
    """Scenario A."""
    dice = random.Random(0)
    every: list[Canary] = []
    for kind in other_spellings(*process.ask("spell"), other="other"):
        name, marker = process.ask("spell")  # anew: no two of them may have one name
        other, _ = process.ask("spell")
        every.append(other_spellings(name, marker, other)[kind])
    with canaries(external_server, every) as made:
        for _ in range(OPERATIONS):
            for name, _comment in every:
                do(process, name, dice)
        gone = made.items() - external_server.databases().items()
        assert not gone, f"these were dropped: {gone}"


@pytest.mark.parametrize(
    "examples", [10, pytest.param(125, marks=pytest.mark.long)], ids="{} canaries".format
)
def test_what_nobody_thought_of_survives(
    process: Process, external_server: ExternalServer, examples: int
) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(data=st.data())
    def survives(data: st.DataObject) -> None:
        canary = draw_canary(process, data)
        dice = data.draw(st.randoms(use_true_random=False))
        with canaries(external_server, [canary]) as made:
            for _ in range(OPERATIONS):
                do(process, dice.choice([canary[0], *SYSTEM]), dice)
            after = external_server.databases()
            assert made.items() <= after.items()
            assert set(SYSTEM) <= set(after.values())

    survives()


def draw_canary(process: Process, data: st.DataObject) -> Canary:
    """Draw a look-alike, and change up to two characters of its name."""
    name, marker = process.ask("spell")
    other, _ = process.ask("spell")
    spellings = other_spellings(name, marker, other)
    what = data.draw(st.sampled_from(sorted(spellings)))
    event(what)
    first, comment = spellings[what]
    letters = list(first)
    for _ in range(data.draw(st.integers(0, 2))):
        place = data.draw(st.integers(0, len(letters) - 1))
        letters[place] = data.draw(st.sampled_from("aZ09_%'\" é-\\$"))
    changed = "".join(letters)
    if changed in {name, other}:  # a change undone: that one would be disposable indeed
        changed = "production"
    return changed.encode()[:LONGEST].decode(errors="ignore"), comment


def test_nobody_gets_around_the_rule(process: Process) -> None:
    with pytest.raises(RefusedByTestdbError, match=r"Only testdb\.identity\.disposable\.prove"):
        process.ask("forge", name="postgres")


def test_a_database_without_a_marker_goes_only_if_its_name_proves_itself(
    process: Process, external_server: ExternalServer
) -> None:
    name, _ = process.ask("spell")  # as CREATE leaves it when COMMENT never comes
    with external_server.connect() as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(
                sql.Identifier(name), sql.Identifier(ROLE)
            )
        )
    assert process.ask("sweep")[name] == [True, "its run died while creating it"]
    assert name not in external_server.databases().values()


def test_what_belongs_to_another_role_stays(
    process: Process, external_server: ExternalServer
) -> None:
    name, marker = process.ask("spell")
    with external_server.database(name, owner=ADMINISTRATOR, comment=marker):
        goes, why = process.ask("sweep", force=True)[name]
        assert not goes
        assert why == "it belongs to the role administrator"
        with pytest.raises(RefusedByTestdbError, match="must be owner"):
            process.ask("drop", name=name)


@pytest.mark.parametrize("what", ["leave", "leave_templates"])
def test_a_killed_drop_is_finished_by_the_next_sweep(
    process: Process, external_server: ExternalServer, what: str
) -> None:
    """PostgreSQL marks a database as invalid when DROP starts, and refuses to ALTER it then."""
    (name,) = process.ask(what, count=1)
    with external_server.connect() as connection:
        connection.execute(
            "UPDATE pg_database SET datconnlimit = -2, datistemplate = false WHERE datname = %s",
            [name],
        )
    assert process.ask("sweep", templates=True)[name][0]
    assert name not in external_server.databases().values()
