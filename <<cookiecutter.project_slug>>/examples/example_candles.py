"""Price candles are stored once for a symbol and a time, and listed newest first."""

from http import HTTPStatus

from testdb.processes.examples import service_client

PRICES = {"open": "100", "high": "110", "low": "90", "close": "105", "volume": "12.5"}


def main() -> None:
    """Store three candles, refuse two that cannot be, and read them back."""
    with service_client(__file__) as client:
        for hour in range(3):
            candle = {"symbol": "BTCUSD", "opened_at": f"2026-01-01T{hour:02}:00:00Z", **PRICES}
            client.post("/candles", json=candle).raise_for_status()

        twice = client.post("/candles", json=candle)
        print(f"stored twice: {twice.status_code} {twice.json()['detail']}")
        assert twice.status_code == HTTPStatus.CONFLICT

        impossible = client.post("/candles", json=candle | {"close": "111"})
        print(f"closed above its high: {impossible.status_code}")
        assert impossible.status_code == HTTPStatus.UNPROCESSABLE_ENTITY

        listed = client.get("/candles/BTCUSD").raise_for_status().json()
        print(f"listed: {[candle['opened_at'] for candle in listed]}")
        assert [candle["opened_at"][11:13] for candle in listed] == ["02", "01", "00"]


if __name__ == "__main__":
    main()
