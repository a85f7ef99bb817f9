from app.models import Product


def test_order_takes_from_stock(session, client):
    cup = Product(sku="CUP-1", name="Cup", price_cents=900, stock=3)
    session.add(cup)
    session.commit()

    order = {"email": "ada@example.com", "items": [{"sku": "CUP-1", "quantity": 2}]}
    response = client.post("/orders", json=order)

    assert response.status_code == 201
    assert response.json()["total_cents"] == 1800
    session.refresh(cup)
    assert cup.stock == 1
    assert client.post("/orders", json=order).status_code == 409


def test_health_is_logged(client, caplog):
    with caplog.at_level("INFO"):
        assert client.get("/health").json() == {"status": "ok"}
    assert "health was asked for" in caplog.text
