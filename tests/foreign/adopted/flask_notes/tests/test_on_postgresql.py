import pytest
from sqlalchemy import select, text

from notes.models import Notebook


@pytest.mark.parametrize("number", range(2))
def test_create_notebook(client, session, number):
    assert client.post("/notebooks", json={"title": "Travel"}).json["id"] == 1
    assert session.scalars(select(Notebook.title)).all() == ["Travel"]


@pytest.mark.isolation("clone")
@pytest.mark.parametrize("number", range(2))
def test_titles_are_unique_in_any_case(client, session, number):
    session.execute(text("CREATE UNIQUE INDEX any_case ON notebooks (lower(title))"))
    session.commit()
    assert client.post("/notebooks", json={"title": "Travel"}).status_code == 201
    assert client.post("/notebooks", json={"title": "TRAVEL"}).status_code == 409


def test_pages(app, client):
    app.config["PAGE_SIZE"] = 0
    client.post("/notebooks", json={"title": "Travel"})
    assert client.get("/notebooks").json == []


def test_pages_are_as_they_were(app):
    assert app.config["PAGE_SIZE"] == 20


@pytest.mark.parametrize("number", range(2))
def test_from_outside(http, number):
    assert http.post("/notebooks", json={"title": "Travel"}).json()["id"] == 1
