"""What a candle may say. No database, no server."""

import pytest
from pydantic import ValidationError

from <<cookiecutter.package_name>>.candles import CandleData

CANDLE = {
    "symbol": "BTCUSD",
    "opened_at": "2026-01-01T00:00:00Z",
    "open": "100",
    "high": "110",
    "low": "90",
    "close": "105",
    "volume": "12.5",
}


def test_a_candle_whose_prices_are_in_order_is_accepted() -> None:
    assert CandleData.model_validate(CANDLE).close == 105


@pytest.mark.parametrize(
    "wrong",
    [
        {"close": "111"},
        {"open": "89"},
        {"low": "-1"},
        {"opened_at": "2026-01-01"},
        {"symbol": "btc"},
    ],
    ids=str,
)
def test_a_candle_that_cannot_be_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        CandleData.model_validate(CANDLE | wrong)
