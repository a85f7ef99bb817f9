"""Candles, through the service and the database behind it."""

from http import HTTPStatus

from httpx import AsyncClient

CANDLE = {
    "symbol": "BTCUSD",
    "opened_at": "2026-01-01T00:00:00Z",
    "open": "100.00000000",
    "high": "110.00000000",
    "low": "90.00000000",
    "close": "105.00000000",
    "volume": "12.50000000",
}


async def test_a_stored_candle_is_listed_and_fetched(client: AsyncClient) -> None:
    assert (await client.post("/candles", json=CANDLE)).status_code == HTTPStatus.CREATED
    assert (await client.get("/candles/BTCUSD")).json() == [CANDLE]
    assert (await client.get("/candles/BTCUSD/2026-01-01T00:00:00Z")).json() == CANDLE


async def test_a_candle_is_stored_once(client: AsyncClient) -> None:
    await client.post("/candles", json=CANDLE)
    assert (await client.post("/candles", json=CANDLE)).status_code == HTTPStatus.CONFLICT


async def test_candles_are_listed_newest_first(client: AsyncClient) -> None:
    for day in ("01", "03", "02"):
        await client.post("/candles", json=CANDLE | {"opened_at": f"2026-01-{day}T00:00:00Z"})
    listed = (await client.get("/candles/BTCUSD", params={"limit": 2})).json()
    assert [candle["opened_at"][8:10] for candle in listed] == ["03", "02"]


async def test_no_candle_is_not_found(client: AsyncClient) -> None:
    missing = await client.get("/candles/BTCUSD/2026-01-01T00:00:00Z")
    assert missing.status_code == HTTPStatus.NOT_FOUND
