import pytest

from blog import Post, create_app, db


@pytest.fixture
def app(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "sqlite://")
    app = create_app()
    with app.app_context():
        db.create_all()
        yield app


def test_add(app):
    assert app.test_client().post("/posts/hello").json == {"id": 1}
    assert db.session.query(Post).one().title == "hello"
