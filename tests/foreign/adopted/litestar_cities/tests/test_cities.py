import pytest
from sqlalchemy import func, select, text

from app import City

OSLO = {"name": "Oslo", "country": "Norway"}


@pytest.mark.parametrize("number", range(3))
async def test_add_city(client, session, number):
    assert (await client.post("/cities", json=OSLO)).json() == {"id": 1}
    assert await session.scalar(select(func.count()).select_from(City)) == 1
    assert (await client.post("/cities", json=OSLO)).status_code == 409


@pytest.mark.isolation("clone")
@pytest.mark.parametrize("number", range(2))
async def test_get_city_of_a_view(client, session, number):
    session.add(City(**OSLO))
    await session.execute(text("CREATE VIEW names AS SELECT name FROM cities"))
    await session.commit()
    assert (await client.get("/cities/Oslo")).json() == OSLO


@pytest.mark.parametrize("number", range(2))
def test_from_outside(http, number):
    assert http.post("/cities", json=OSLO).json() == {"id": 1}
