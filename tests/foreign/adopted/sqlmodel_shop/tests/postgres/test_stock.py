"""What SQLite could not show: locks, and requests at the same time."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlmodel import text

from app.database import engine
from app.models import Product
from testdb.runs.environment import pointing_to

CUP = {"sku": "CUP-1", "name": "Cup", "price_cents": 900, "stock": 3}


@pytest.mark.parametrize("number", range(3))
def test_the_last_cups_are_sold_once(session, client, number):
    session.add(Product(**CUP))
    session.commit()
    order = {"email": "ada@example.com", "items": [{"sku": "CUP-1", "quantity": 1}]}
    with ThreadPoolExecutor(6) as pool:
        sent = [pool.submit(client.post, "/orders", json=order) for _ in range(6)]
        codes = sorted(done.result().status_code for done in sent)
    assert codes == [201, 201, 201, 409, 409, 409]


@pytest.mark.isolation("clone")
@pytest.mark.parametrize("number", range(2))
def test_a_price_is_never_negative_once_the_database_says_so(session, client, number):
    check = "ALTER TABLE product ADD CONSTRAINT price CHECK (price_cents >= 0)"
    session.execute(text(check))
    session.commit()
    assert client.post("/products", json=CUP).json()["id"] == 1
    free = {**CUP, "sku": "CUP-2", "price_cents": -1}
    assert client.post("/products", json=free).status_code == 409


def test_the_engine_of_the_service_goes_where_its_settings_lead(databases, service_databases):
    for there in (databases, service_databases.databases):
        with pointing_to(there.urls), engine.connect() as connection:
            name = connection.scalar(text("SELECT current_database()"))
        assert name == str(there.names["main"])


@pytest.mark.parametrize("number", range(2))
def test_from_outside(http, number):
    assert http.post("/products", json=CUP).json()["id"] == 1
