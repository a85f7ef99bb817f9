"""What a session was told goes with the test, though its connection may stay in a pool.

The tests that are written into a baked project leave one thing each, in one kind of pool each; the
next of the same name would find it.
"""

import pytest

from harness.project import Project
from harness.suite import EVERY_WAY, audit, loop_scopes, migrate, write

LEAVES = '''
from contextlib import closing

from sqlalchemy import text

TENANT = "SELECT current_setting('my.tenant', true)"
TEMPORARY = "SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relname = 'scratch'"
LOCKS = """
SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database
WHERE locktype = 'advisory' AND objid = 4711 AND datname = current_database()
"""
LEFT = {
    "a setting": ("SET statement_timeout = '77s'", "SHOW statement_timeout", "0"),
    "a setting of its own": ("SET my.tenant = '7'", TENANT, ""),
    "a search path": ("SET search_path = pg_catalog", "SHOW search_path", '"$user", public'),
    "read only": (
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SHOW default_transaction_read_only",
        "off",
    ),
    "a temporary table": ("CREATE TEMPORARY TABLE scratch (n int)", TEMPORARY, 0),
    "a temporary view": ("CREATE TEMPORARY VIEW scratch AS SELECT 1 AS n", TEMPORARY, 0),
    "an advisory lock": ("SELECT pg_advisory_lock(4711)", LOCKS, 0),
    "a channel": ("LISTEN news", "SELECT count(*) FROM pg_listening_channels()", 0),
    "cached values": ("SELECT nextval('tickets')", "SELECT nextval('tickets')", 1),
    "a cursor": (
        "DECLARE held CURSOR WITH HOLD FOR SELECT 1",
        "SELECT count(*) FROM pg_cursors WHERE name = 'held'",
        0,
    ),
}
every_thing = pytest.mark.parametrize("thing", LEFT)
HOW_OFTEN = range(7)
"""psycopg prepares a statement when it is executed for the sixth time."""
ADA = "INSERT INTO users (email, name) VALUES ('ada@example.com', 'Ada')"
COUNT = text("SELECT count(*) FROM users WHERE id > :above")


@twice
@every_way
@every_thing
def test_sync_session(sync_session, thing, way, time):
    leave, look, clean = LEFT[thing]
    assert (sync_session.scalar(text(look)) or type(clean)()) == clean
    sync_session.execute(text(leave))
    sync_session.commit()


@twice
@every_way
@every_thing
async def test_session(session, thing, way, time):
    leave, look, clean = LEFT[thing]
    assert (await session.scalar(text(look)) or type(clean)()) == clean
    await session.execute(text(leave))
    await session.commit()


@twice
@every_way
@every_thing
def test_raw_connection_of_a_pool(sync_session, thing, way, time):
    leave, look, clean = LEFT[thing]
    engine = sync_session.get_bind().engine
    with closing(engine.raw_connection()) as pooled, pooled.cursor() as cursor:
        assert (cursor.execute(look).fetchone()[0] or type(clean)()) == clean
        cursor.execute(leave)
        pooled.commit()


@every_way
@pytest.mark.parametrize("time", range(3))
def test_prepared_statements_work(sync_session, way, time):
    for count in HOW_OFTEN:
        assert sync_session.scalar(COUNT, {"above": 0}) == count
        sync_session.execute(text(ADA.replace("ada", f"ada{count}")))
        sync_session.commit()


@every_way
@pytest.mark.parametrize("time", range(3))
async def test_prepared_statements_of_async_sessions_work(session, client, way, time):
    for count in HOW_OFTEN:
        assert await session.scalar(COUNT, {"above": 0}) == count
        user = {"email": f"ada{count}@example.com", "name": "Ada"}
        assert (await client.post("/users", json=user)).status_code == 201
        await session.commit()
'''

LISTENS = '''
from sqlalchemy import Engine, event, text

LISTENER = text("SHOW of.listener")
OVERWRITE = text("SET of.listener = 'gone'")


@event.listens_for(Engine, "connect")
def prepare(dbapi_connection, _):
    """Have a setting in every session of every engine, as a service may have it."""
    dbapi_connection.autocommit = True
    cursor = dbapi_connection.cursor()
    cursor.execute("SET of.listener = 'stays'")
    cursor.close()
    dbapi_connection.autocommit = False


@twice
@every_way
async def test_every_pool_has_what_its_listener_sets(app, session, sync_session, way, time):
    async with app.state.databases.engines["main"].connect() as connection:
        assert await connection.scalar(LISTENER) == "stays"
    assert await session.scalar(LISTENER) == "stays"
    await session.execute(OVERWRITE)
    await session.commit()
    assert sync_session.scalar(LISTENER) == "stays"
    sync_session.execute(OVERWRITE)
    sync_session.commit()
'''


@pytest.mark.parametrize("loops", ["session", pytest.param("function", marks=pytest.mark.long)])
def test_what_a_session_was_told_goes_with_its_test(project: Project, loops: str) -> None:
    migrate(project, "CREATE SEQUENCE tickets CACHE 20")
    done = project.run("pytest", write(project, EVERY_WAY + LEAVES), *loop_scopes(loops))
    done.expect("132 passed")
    counts = audit(done)
    assert counts["left"] == 0
    assert counts["created"] <= 7, "a temporary table, or a setting, cost a clone"


def test_what_a_connect_listener_sets_stays(project: Project) -> None:
    project.run("pytest", write(project, EVERY_WAY + LISTENS)).expect("4 passed")
