"""OHLCV price candles: create, list, fetch."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Self

from fastapi import APIRouter, HTTPException, status
from psycopg.errors import UniqueViolation
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import DateTime, Numeric, String, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from <<cookiecutter.package_name>>.databases import << cookiecutter.__candles_database | capitalize >>Base as Base
from <<cookiecutter.package_name>>.databases import << cookiecutter.__candles_database | capitalize >>Session as Session

router = APIRouter(prefix="/candles", tags=["candles"])

Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,20}$")]
Price = Annotated[Decimal, Field(gt=0, max_digits=20, decimal_places=8)]
Volume = Annotated[Decimal, Field(ge=0, max_digits=28, decimal_places=8)]


class Candle(Base):
    """The prices of one symbol over one interval that starts at `opened_at`."""

    __tablename__ = "candles"

    symbol: Mapped[str] = mapped_column(String(20), primary_key=True)
    opened_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    open: Mapped[Decimal] = mapped_column(Numeric(20, 8))
    high: Mapped[Decimal] = mapped_column(Numeric(20, 8))
    low: Mapped[Decimal] = mapped_column(Numeric(20, 8))
    close: Mapped[Decimal] = mapped_column(Numeric(20, 8))
    volume: Mapped[Decimal] = mapped_column(Numeric(28, 8))


class CandleData(BaseModel):
    """A candle as clients send and see it."""

    model_config = ConfigDict(from_attributes=True)

    symbol: Symbol
    opened_at: AwareDatetime
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Volume

    @model_validator(mode="after")
    def prices_are_ordered(self) -> Self:
        """Refuse a candle whose open or close lies outside low to high."""
        if not self.low <= min(self.open, self.close) <= max(self.open, self.close) <= self.high:
            msg = "open and close must lie between low and high"
            raise ValueError(msg)
        return self


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_candle(new: CandleData, session: Session) -> CandleData:
    """Store a candle; 409 if the symbol has one for that time."""
    session.add(Candle(**new.model_dump()))
    try:
        await session.commit()
    except IntegrityError as error:
        if not isinstance(error.orig, UniqueViolation):
            raise
        raise HTTPException(status.HTTP_409_CONFLICT, "This candle exists.") from error
    return new


@router.get("/{symbol}")
async def list_candles(
    symbol: Symbol, session: Session, limit: Annotated[int, Field(ge=1, le=1000)] = 100
) -> list[CandleData]:
    """List the candles of a symbol, newest first."""
    newest = (
        select(Candle).where(Candle.symbol == symbol).order_by(Candle.opened_at.desc()).limit(limit)
    )
    return [CandleData.model_validate(candle) for candle in await session.scalars(newest)]


@router.get("/{symbol}/{opened_at}")
async def fetch_candle(symbol: Symbol, opened_at: AwareDatetime, session: Session) -> CandleData:
    """Fetch one candle; 404 if there is none."""
    candle = await session.get(Candle, (symbol, opened_at))
    if candle is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "There is no such candle.")
    return CandleData.model_validate(candle)
