"""Within a test everything commits as in production, over any number of connections.

The tests that are written into a baked project follow one another in every way of isolation, over
the same e-mails: each would fail on what the one before it left.
"""

from harness.project import Project
from harness.suite import EVERY_WAY, audit, migrate, write

DIRECT_ROUTE = """

from fastapi import Request


@router.post("/direct", status_code=status.HTTP_201_CREATED)
async def create_directly(new: NewUser, request: Request) -> None:
    engine = request.app.state.databases.engines["main"]
    async with engine.begin() as connection:
        await connection.execute(User.__table__.insert().values(email=new.email, name=new.name))
"""

COMMITS = """
import asyncio

import psycopg
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from my_service.users import User
from testdb.postgres.psql import psql_uri

ADA = {"email": "ada@example.com", "name": "Ada"}
GRACE = {"email": "grace@example.com", "name": "Grace"}
COUNT = select(func.count()).select_from(User)


@pytest.fixture(autouse=True)
def nobody_is_there(sync_session):
    assert sync_session.scalar(COUNT) == 0
    sync_session.rollback()


@pytest.fixture
async def grace(app):
    async with app.state.databases.engines["main"].begin() as connection:
        await connection.execute(insert(User).values(GRACE))


async def names(client):
    return [user["name"] for user in (await client.get("/users")).json()]


@twice
@every_way
async def test_a_fixture_with_a_connection_of_its_own(grace, client, way, time):
    assert await names(client) == ["Grace"]


@twice
@every_way
async def test_a_route_with_a_connection_of_its_own(client, way, time):
    assert (await client.post("/users/direct", json=ADA)).status_code == 201
    assert await names(client) == ["Ada"]


@twice
@every_way
async def test_a_raw_connection(client, databases, way, time):
    with psycopg.connect(psql_uri(databases.urls["main"])) as connection:
        connection.execute("INSERT INTO users (email, name) VALUES ('ada@example.com', 'Ada')")
    connection.close()
    assert await names(client) == ["Ada"]


@twice
@every_way
async def test_both_sessions_see_each_other(session, sync_session, way, time):
    session.add(User(**ADA))
    await session.commit()
    assert sync_session.scalar(select(User.name)) == "Ada"
    sync_session.add(User(**GRACE))
    sync_session.commit()
    assert await session.scalar(COUNT) == 2


@twice
@every_way
async def test_both_sessions_never_hang_on_one_unique_value(session, sync_session, way, time):
    session.add(User(**ADA))
    await session.commit()
    sync_session.execute(text("SET LOCAL lock_timeout = '2s'"))
    sync_session.add(User(**ADA))
    with pytest.raises(IntegrityError):
        sync_session.commit()
    sync_session.rollback()


@twice
@every_way
async def test_deferred_constraints_fail_at_commit(session, way, time):
    await session.execute(text("INSERT INTO extra.children VALUES (1)"))
    with pytest.raises(IntegrityError):
        await session.commit()
    await session.rollback()


@twice
@every_way
async def test_serializable_transactions_notice_each_other(app, way, time):
    factory = app.state.databases.sessions["main"]
    async with factory() as one, factory() as other:
        for session in (one, other):
            await session.connection(execution_options={"isolation_level": "SERIALIZABLE"})
            assert await session.scalar(text("SHOW transaction_isolation")) == "serializable"
            assert await session.scalar(COUNT) == 0
        one.add(User(**ADA))
        other.add(User(**GRACE))
        await one.commit()
        with pytest.raises(DBAPIError) as failure:
            await other.commit()
        assert failure.value.orig.sqlstate == "40001"
        await other.rollback()


@twice
@every_way
async def test_who_listens_is_notified(session, databases, way, time):
    with psycopg.connect(psql_uri(databases.urls["main"]), autocommit=True) as listening:
        listening.execute("LISTEN news")
        await session.execute(text("NOTIFY news, 'good'"))
        await session.commit()
        heard = [notice.payload for notice in listening.notifies(timeout=5, stop_after=1)]
    listening.close()
    assert heard == ["good"]


@twice
@every_way
async def test_now_moves_with_each_transaction(session, way, time):
    before = await session.scalar(select(func.now()))
    await session.commit()
    assert await session.scalar(select(func.now())) > before


@twice
@every_way
async def test_requests_run_at_once(client, way, time):
    answers = await asyncio.gather(*(client.post("/users", json=ADA) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


@twice
@every_way
async def test_a_session_undoes_what_is_its_own(client, session, way, time):
    session.add(User(**GRACE))
    await session.flush()
    assert (await client.post("/users", json=ADA)).status_code == 201
    assert await names(client) == ["Ada"]
    await session.rollback()
    assert await session.scalar(select(User.name)) == "Ada"


@twice
@every_way
async def test_what_a_request_commits_everybody_sees(client, session, fetch_rows, way, time):
    user = (await client.post("/users", json=ADA)).json()
    assert user["id"] == 1
    assert (await client.get(f"/users/{user['id']}")).json() == user
    assert await session.scalar(select(User.name)) == "Ada"
    assert [tuple(row) for row in await fetch_rows(select(User.name))] == [("Ada",)]
"""


def test_every_connection_commits_for_real_and_the_next_test_finds_nothing(
    project: Project,
) -> None:
    """Scenarios B and C."""
    migrate(
        project,
        "CREATE SCHEMA extra",
        "CREATE TABLE extra.children (parent int REFERENCES users DEFERRABLE INITIALLY DEFERRED)",
    )
    users = project / "src/my_service/users.py"
    users.write_text(users.read_text() + DIRECT_ROUTE)
    done = project.run("pytest", write(project, EVERY_WAY + COMMITS))
    done.expect("48 passed")
    assert audit(done)["left"] == 0
