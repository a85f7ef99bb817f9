"""Sessions of tests, which under rollback share one connection with those of the routes."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, Connection, Engine, Executable, Row, create_engine, event, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction

from testdb.adapter import SERVICE
from testdb.postgres.server import is_in_transaction
from testdb.runs.run import DatabaseSet
from testdb.testing.isolation import Isolation, IsolationError, IsolationMode

if TYPE_CHECKING:
    from testdb.adapter import Databases

TEST_SESSION: Final = "of the test"
"""Key in Session.info that tells the session which the test holds from those of the routes."""
_UNSAVED: Final = "wrote what it has not committed"
_ENCLOSES: Final = "a route committed inside its transaction"


@asynccontextmanager
async def rollback(databases: "Databases", isolation: Isolation) -> AsyncIterator[None]:
    """Have all sessions share one connection for each database, and undo everything at the end.

    Constraints that were deferred to a commit are checked before that.

    Raises:
        IntegrityError: a deferred constraint is violated.
        IsolationError: from a session, where two of them would get in each other's way.
    """
    async with AsyncExitStack() as stack:
        connections = []
        for logical, engine in databases.engines.items():
            connection = await stack.enter_async_context(engine.connect())
            await connection.begin()
            databases.sessions[logical].configure(
                bind=connection,
                join_transaction_mode="create_savepoint",
                sync_session_class=OverlapDetector().session_class(),
            )
            stack.callback(
                databases.sessions[logical].configure,
                bind=engine,
                join_transaction_mode="conditional_savepoint",
                sync_session_class=Session,
            )
            connections.append(connection)
        yield
        for connection in connections:
            await connection.run_sync(_end, isolation)


def _end(connection: Connection, isolation: Isolation) -> None:
    """Check deferred constraints; commit what a person wants to look at, else it is rolled back."""
    # A statement that failed outside of any savepoint has ended the transaction already.
    if is_in_transaction(connection.connection.driver_connection):
        connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        if isolation.should_keep():
            connection.commit()


class OverlapDetector:
    """Refuses two sessions of routes in a transaction at once on the connection that they share.

    A rollback of one would also undo the other. One nesting is allowed: a route's transaction
    inside that of the test's session, which may not have uncommitted changes or roll back later.
    """

    def __init__(self) -> None:
        """Begin with nobody in a transaction."""
        self._of_routes: set[Session] = set()
        self._of_test: set[Session] = set()

    def session_class(self) -> type[Session]:
        """Make a class of sessions that are watched."""

        class Sharing(Session):
            """A session on the connection that all share under rollback."""

        for listener in (
            self.after_transaction_create,
            self.after_transaction_end,
            self.after_commit,
            self.after_flush,
            self.after_rollback,
            self.do_orm_execute,
        ):
            event.listen(Sharing, listener.__name__, listener)
        return Sharing

    def after_transaction_create(self, session: Session, transaction: SessionTransaction) -> None:
        """Let a session begin, if no other is in its way."""
        if transaction.parent is not None:
            return
        if TEST_SESSION in session.info:
            self._of_test.add(session)
            return
        if self._of_routes:
            raise IsolationError(TWO_AT_ONCE)
        if any(_UNSAVED in of_test.info for of_test in self._of_test):
            raise IsolationError(UNCOMMITTED)
        self._of_routes.add(session)

    def after_transaction_end(self, session: Session, transaction: SessionTransaction) -> None:
        """Let the next one begin."""
        if transaction.parent is None:
            self._of_routes.discard(session)
            self._of_test.discard(session)
            session.info.pop(_UNSAVED, None)
            session.info.pop(_ENCLOSES, None)

    def after_commit(self, session: Session) -> None:
        """Remember that a route committed inside of a transaction of the test."""
        if TEST_SESSION not in session.info:
            for of_test in self._of_test:
                of_test.info[_ENCLOSES] = True

    def after_rollback(self, session: Session) -> None:
        """Refuse to undo what a route has committed."""
        if _ENCLOSES in session.info:
            raise IsolationError(ENCLOSED)

    def after_flush(self, session: Session, _: object) -> None:
        """Remember that a session wrote."""
        session.info[_UNSAVED] = True

    def do_orm_execute(self, state: ORMExecuteState) -> None:
        """Remember that a session wrote."""
        if not state.is_select:
            state.session.info[_UNSAVED] = True


_CURE: Final = "@pytest.mark.isolation('reset') or @pytest.mark.isolation('clone')"
TWO_AT_ONCE: Final = (
    "Two sessions are in a transaction at once, and under rollback they share one connection. "
    f"Mark the test with {_CURE}: there each has its own."
)
UNCOMMITTED: Final = (
    "The service was called while the test's session had changes that it had not committed: under "
    f"rollback a route sees them, in production it does not. Commit first, or use {_CURE}."
)
ENCLOSED: Final = (
    "The test's session rolled back a transaction that began before the service committed; under "
    f"rollback that undoes what the service did. Commit before calling it, or use {_CURE}."
)


async def fetch_rows(
    databases: "Databases", logical: str, statement: Executable
) -> Sequence[Row[Any]]:
    """Read rows past every cache of a session, over a connection of its own.

    Under rollback that is the shared one: nobody else can see what is not committed.
    """
    bind = databases.sessions[logical].kw["bind"]
    if isinstance(bind, AsyncConnection):
        return (await bind.execute(statement)).all()
    async with databases.engines[logical].connect() as connection:
        return (await connection.execute(statement)).all()


class Engines:
    """Engines for code that is not async: one for each database, made when first used."""

    def __init__(self) -> None:
        """Make none yet."""
        self._engines: dict[URL, Engine] = {}

    def of(self, url: URL) -> Engine:
        """Get the engine of a database. Its sessions show under the service's name."""
        if url not in self._engines:
            labelled = url.update_query_dict({"application_name": SERVICE})
            self._engines[url] = create_engine(labelled, pool_pre_ping=True)
        return self._engines[url]

    def dispose(self, databases: DatabaseSet) -> None:
        """Close what is open to these databases."""
        for url in databases.urls.values():
            if engine := self._engines.pop(url, None):
                engine.dispose()


@contextmanager
def sync_session(engine: Engine, isolation: Isolation) -> Iterator[Session]:
    """Open a session for a test that is not async, isolated in the same mode."""
    if isolation.mode is not IsolationMode.ROLLBACK:
        with Session(engine) as session:
            yield session
        return
    with engine.connect() as connection:
        connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            yield session
        _end(connection, isolation)
