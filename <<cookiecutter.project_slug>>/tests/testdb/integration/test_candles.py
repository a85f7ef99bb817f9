"""Candles are isolated as users are, also where they have a logical database of their own."""

from http import HTTPStatus

import pytest
from httpx import AsyncClient

from testdb.testing.isolation import IsolationMode

CANDLE = {
    "symbol": "BTCUSD",
    "opened_at": "2026-01-01T00:00:00Z",
    "open": "100",
    "high": "110",
    "low": "90",
    "close": "105",
    "volume": "12.5",
}
MODES = [pytest.param(mode, marks=pytest.mark.isolation(mode)) for mode in IsolationMode]


@pytest.mark.parametrize("time", [1, 2])
@pytest.mark.parametrize("mode", MODES)
async def test_the_same_candle_is_new_in_every_test(
    client: AsyncClient, mode: IsolationMode, time: int
) -> None:
    assert (await client.post("/candles", json=CANDLE)).status_code == HTTPStatus.CREATED
