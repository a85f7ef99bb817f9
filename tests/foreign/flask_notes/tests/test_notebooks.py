import pytest

from notes import create_app
from notes.db import Base, Session
from notes.models import Notebook


@pytest.fixture
def app(tmp_path):
    app = create_app({"TESTING": True, "DATABASE_URL": f"sqlite:///{tmp_path / 'notes.db'}"})
    Base.metadata.create_all(app.extensions["engine"])
    yield app
    Session.remove()


@pytest.fixture
def client(app):
    return app.test_client()


def test_ping(client):
    assert client.get("/ping").text == "pong"


def test_create_notebook(client):
    response = client.post("/notebooks", json={"title": "Travel"})
    assert response.status_code == 201
    assert response.json == {"id": 1, "title": "Travel"}


def test_titles_are_unique(client):
    assert client.post("/notebooks", json={"title": "Travel"}).status_code == 201
    assert client.post("/notebooks", json={"title": "Travel"}).status_code == 409


def test_notes_go_into_a_notebook(app, client):
    Session.add(Notebook(title="Travel"))
    Session.commit()
    assert client.post("/notebooks/1/notes", json={"text": "Lisbon"}).status_code == 201
    assert client.post("/notebooks/2/notes", json={"text": "Oslo"}).status_code == 404


def test_pages(app, client):
    app.config["PAGE_SIZE"] = 1
    for title in ("Work", "Home"):
        client.post("/notebooks", json={"title": title})
    assert [n["title"] for n in client.get("/notebooks").json] == ["Home"]
