from fastapi.testclient import TestClient
from sqlmodel import Session

from app.models import Product

CUP = {"sku": "CUP-1", "name": "Cup", "price_cents": 900, "stock": 3}


def test_create_product(client: TestClient):
    response = client.post("/products", json=CUP)
    assert response.status_code == 201
    assert response.json() == {**CUP, "id": 1}


def test_sku_is_unique(client: TestClient):
    assert client.post("/products", json=CUP).status_code == 201
    assert client.post("/products", json=CUP).status_code == 409


def test_list_products(session: Session, client: TestClient):
    session.add(Product(**CUP))
    session.add(Product(sku="BAG-1", name="Bag", price_cents=2500))
    session.commit()

    data = client.get("/products").json()

    assert [product["sku"] for product in data] == ["BAG-1", "CUP-1"]


def test_no_such_product(client: TestClient):
    assert client.get("/products/NONE").status_code == 404
