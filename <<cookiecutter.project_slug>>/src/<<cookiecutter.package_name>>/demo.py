"""Demo data, to have something to look at: a few users and a day of candles."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from <<cookiecutter.package_name>>.candles import Candle
from <<cookiecutter.package_name>>.databases import Databases
from <<cookiecutter.package_name>>.settings import Settings
from <<cookiecutter.package_name>>.users import User

NAMES = ("Ada", "Grace", "Katherine")
MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)


async def fill(settings: Settings) -> None:
    """Store the demo data in migrated databases that do not hold it yet."""
    databases = Databases(settings)
    try:
        async with databases.sessions["main"]() as session:
            session.add_all(User(email=f"{name.lower()}@example.com", name=name) for name in NAMES)
            await session.commit()
        async with databases.sessions["<< cookiecutter.__candles_database >>"]() as session:
            session.add_all(candle(hour) for hour in range(24))
            await session.commit()
    finally:
        await databases.dispose()


def candle(hour: int) -> Candle:
    """Make up a candle of a price that rises by one every hour."""
    price = Decimal(100 + hour)
    return Candle(
        symbol="BTCUSD",
        opened_at=MIDNIGHT + timedelta(hours=hour),
        open=price,
        high=price + 2,
        low=price - 1,
        close=price + 1,
        volume=Decimal(10),
    )
