"""Who gets which tick. No database, no server."""

from datetime import UTC, datetime
from decimal import Decimal

from <<cookiecutter.package_name>>.ticks import LONGEST_QUEUE, Tick, Ticker


def tick(symbol: str, price: int = 1) -> Tick:
    return Tick(symbol=symbol, price=Decimal(price), at=datetime(2026, 1, 1, tzinfo=UTC))


async def test_a_tick_reaches_those_who_follow_its_symbol() -> None:
    ticker = Ticker()
    with ticker.following("BTC") as first, ticker.following("BTC") as second:
        with ticker.following("ETH") as other:
            assert ticker.publish(tick("BTC")) == 2
            assert other.empty()
        assert first.get_nowait() == second.get_nowait() == tick("BTC")
    assert ticker.publish(tick("BTC")) == 0


async def test_a_slow_follower_loses_the_oldest_ticks() -> None:
    ticker = Ticker()
    with ticker.following("BTC") as queue:
        for price in range(1, LONGEST_QUEUE + 3):
            ticker.publish(tick("BTC", price))
        assert queue.qsize() == LONGEST_QUEUE
        assert queue.get_nowait().price == 3
