"""Demo data, as `invoke db.create --demo` stores it."""

import asyncio

from testdb.adapter import fill, settings
from testdb.identity.disposable import Kind
from testdb.processes.service import client_of, start_service
from testdb.runs.run import Run


def test_demo_data_shows_in_the_service(run: Run, worker: str) -> None:
    with run.databases(worker, Kind.WORKER, role=f"{worker} demo") as databases:
        asyncio.run(fill(settings(databases.urls)))
        with (
            start_service(databases) as service,
            client_of(service) as client,
        ):
            users, candles = client.get("/users").json(), client.get("/candles/BTCUSD").json()
    assert [user["name"] for user in users] == ["Ada", "Grace", "Katherine"]
    assert len(candles) == 24
