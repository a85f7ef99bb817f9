"""How a test is isolated from the others."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal

import pytest
from sqlalchemy import text

from testdb.link import Databases


def loop_scope(
    fixture_name: str,  # noqa: ARG001  pytest passes it
    config: pytest.Config,
) -> Literal["function", "session"]:
    """Give the scope of pytest-asyncio's event loops: what holds connections lives as long."""
    scope = config.getini("asyncio_default_fixture_loop_scope")
    return "session" if scope == "session" else "function"


@asynccontextmanager
async def rollback(databases: Databases) -> AsyncIterator[None]:
    """Undo everything at the end: one connection for each database, inside a transaction.

    Commits become savepoints. Constraints that are deferred to a commit are checked at the end.
    """
    async with AsyncExitStack() as stack:
        connections = []
        for logical, engine in databases.engines.items():
            connection = await stack.enter_async_context(engine.connect())
            stack.push_async_callback((await connection.begin()).rollback)
            databases.sessions[logical].configure(
                bind=connection, join_transaction_mode="create_savepoint"
            )
            connections.append(connection)
        try:
            yield
            for connection in connections:
                await connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        finally:
            for logical, engine in databases.engines.items():
                databases.sessions[logical].configure(
                    bind=engine, join_transaction_mode="conditional_savepoint"
                )
