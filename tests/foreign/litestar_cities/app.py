"""Cities: a directory of cities, on Litestar."""

import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from litestar import Litestar, get, post
from litestar.di import Provide
from litestar.exceptions import ClientException, NotFoundException
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["CITIES_DB_URL"])
new_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class City(Base):
    __tablename__ = "cities"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    country: Mapped[str]


@dataclass
class NewCity:
    name: str
    country: str


async def provide_db() -> AsyncGenerator[AsyncSession, None]:
    async with new_session() as session:
        yield session


@get("/health")
async def health() -> str:
    return "ok"


@post("/cities")
async def add_city(data: NewCity, db: AsyncSession) -> dict[str, int]:
    city = City(name=data.name, country=data.country)
    db.add(city)
    try:
        await db.commit()
    except IntegrityError as error:
        raise ClientException("There is such a city already", status_code=409) from error
    return {"id": city.id}


@get("/cities/{name:str}")
async def get_city(name: str, db: AsyncSession) -> dict[str, str]:
    city = await db.scalar(select(City).where(City.name == name))
    if city is None:
        raise NotFoundException
    return {"name": city.name, "country": city.country}


app = Litestar([health, add_city, get_city], dependencies={"db": Provide(provide_db)})
