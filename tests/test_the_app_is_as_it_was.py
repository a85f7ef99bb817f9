"""What a test changes of the app is gone after it, and FastAPI's own client is isolated too."""

import pytest

from harness.project import Project
from harness.suite import EVERY_WAY, audit, loop_scopes, write

CHANGES = """
from starlette.responses import PlainTextResponse

from my_service.databases import session_of
from my_service.settings import Settings


@twice
@every_way
def test_its_state(app, way, time):
    assert not hasattr(app.state, "added")
    assert isinstance(app.state.settings, Settings)
    app.state.added = True
    if time == 1:
        app.state.settings = None
    else:
        del app.state.settings


@twice
@every_way
async def test_its_databases(app, client, way, time):
    assert (await client.get("/health")).status_code == 200
    app.state.databases = None


@twice
@every_way
def test_its_dependencies(app, way, time):
    assert app.dependency_overrides == {}
    app.dependency_overrides[session_of] = lambda: None
    if time == 1:
        app.dependency_overrides = {session_of: None}


@twice
@every_way
async def test_its_routes(app, client, way, time):
    assert (await client.get("/added")).status_code == 404
    assert "/added" not in (await client.get("/openapi.json")).json()["paths"]
    app.openapi_schema = None
    app.get("/added")(lambda: "added")
    assert (await client.get("/added")).json() == "added"
    assert "/added" in (await client.get("/openapi.json")).json()["paths"]


@twice
@every_way
async def test_its_routes_may_go(app, client, way, time):
    assert (await client.get("/users")).json() == []
    app.router.routes.clear()
    assert (await client.get("/users")).status_code == 404


@twice
@every_way
async def test_its_middleware(app, client, way, time):
    @app.middleware("http")
    async def mark(request, call_next):
        answer = await call_next(request)
        answer.headers[f"x-marked-{way}-{time}"] = "yes"
        return answer

    headers = (await client.get("/health")).headers
    assert [name for name in headers if name.startswith("x-mark")] == [f"x-marked-{way}-{time}"]


@twice
@every_way
async def test_its_exception_handlers(app, client, way, time):
    def look(request, error):
        return PlainTextResponse("handled", status_code=418)

    def fail():
        raise LookupError

    assert LookupError not in app.exception_handlers
    app.add_exception_handler(LookupError, look)
    app.get("/fails")(fail)
    assert (await client.get("/fails")).status_code == 418
"""

STATE = """
from fastapi import Request, WebSocket
from fastapi.testclient import TestClient


def begun(request: Request):
    return request.state.begun.pop()


async def talk(websocket: WebSocket):
    await websocket.accept()
    await websocket.send_text(websocket.state.begun[0])


@every_way
async def test_of_the_client(app, client, way):
    app.get("/begun")(begun)
    assert (await client.get("/begun")).json() == "well"


@every_way
def test_of_the_test_client(app, way):
    app.websocket("/talk")(talk)
    with TestClient(app).websocket_connect("/talk") as talking:
        assert talking.receive_text() == "well"


@every_way
def test_of_a_lifespan_of_its_own(app, way):
    app.get("/begun")(begun)
    with TestClient(app) as client:
        assert client.get("/begun").json() == "well"
"""

TEST_CLIENT = '''
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from my_service.app import create_app
from my_service.users import User
from testdb.adapter import settings

ADA = {"email": "ada@example.com", "name": "Ada"}
COUNT = select(func.count()).select_from(User)


def sign_up(client):
    """Sign Ada up, in several requests, where nobody is there yet."""
    assert client.get("/users").json() == []
    assert client.post("/users", json=ADA).json()["id"] == 1
    assert client.post("/users", json=ADA).status_code == 409
    assert [user["name"] for user in client.get("/users").json()] == ["Ada"]


@twice
@every_way
def test_without_a_context(app, way, time):
    sign_up(TestClient(app))


@twice
@every_way
def test_in_a_context(app, sync_session, way, time):
    with TestClient(app) as client:
        sign_up(client)
    assert sync_session.scalar(COUNT) == 1


@twice
@every_way
def test_over_an_app_of_its_own(databases, sync_session, way, time):
    with TestClient(create_app(settings(databases.urls))) as client:
        sign_up(client)
    assert sync_session.scalar(COUNT) == 1


@twice
@every_way
async def test_in_a_test_that_is_async(app, session, way, time):
    with TestClient(app) as client:
        sign_up(client)
    assert await session.scalar(COUNT) == 1


@twice
@every_way
async def test_beside_it_the_fixture_works(app, client, session, way, time):
    assert (await client.get("/users")).json() == []
    assert TestClient(app).post("/users", json=ADA).status_code == 201
    assert [user["name"] for user in (await client.get("/users")).json()] == ["Ada"]
    assert await session.scalar(COUNT) == 1
'''

with_each_loop_scope = pytest.mark.parametrize(
    "loops", ["session", pytest.param("function", marks=pytest.mark.long)]
)


@with_each_loop_scope
def test_what_a_test_changes_of_the_app_is_gone(project: Project, loops: str) -> None:
    done = project.run("pytest", write(project, EVERY_WAY + CHANGES), *loop_scopes(loops))
    done.expect("28 passed")


def test_requests_find_the_state_that_the_lifespan_yields(project: Project) -> None:
    begun = 'yield {"begun": ["well"] * 9}'
    project.replace("src/my_service/app.py", "            yield\n", f"            {begun}\n")
    project.run("pytest", write(project, EVERY_WAY + STATE)).expect("6 passed")


@with_each_loop_scope
def test_the_test_client_of_fastapi_is_isolated(project: Project, loops: str) -> None:
    """Its import is no error either, though it warns, and warnings are errors."""
    done = project.run("pytest", write(project, EVERY_WAY + TEST_CLIENT), *loop_scopes(loops))
    done.expect("20 passed")
    assert audit(done)["left"] == 0
