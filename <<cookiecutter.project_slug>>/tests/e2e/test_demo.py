"""Demo data, as `invoke db.create --demo` stores it."""

import asyncio

import httpx

from testdb.link import fill, settings
from testdb.ownership import Kind
from testdb.runs import Run
from testdb.service import serving


def test_demo_data_shows_in_the_service(run: Run, worker: str) -> None:
    with run.databases(worker, Kind.WORKER, role=f"{worker} demo") as databases:
        asyncio.run(fill(settings(databases.urls)))
        with (
            serving(databases) as service,
            httpx.Client(base_url=service.url, timeout=30, trust_env=False) as client,
        ):
            users, candles = client.get("/users").json(), client.get("/candles/BTCUSD").json()
    assert [user["name"] for user in users] == ["Ada", "Grace", "Katherine"]
    assert len(candles) == 24
