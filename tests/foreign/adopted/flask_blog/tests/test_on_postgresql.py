import pytest
from sqlalchemy import text

from blog import Post


@pytest.mark.parametrize("number", range(3))
def test_add(client, session, number):
    assert client.post("/posts/hello").json == {"id": 1}
    assert session.query(Post).one().title == "hello"


@pytest.mark.isolation("clone")
@pytest.mark.parametrize("number", range(2))
def test_titles_are_short(client, session, number):
    session.execute(text("ALTER TABLE post ADD CHECK (length(title) < 4)"))
    session.commit()
    assert client.post("/posts/hi").status_code == 200
    assert client.post("/posts/hello").status_code == 500


@pytest.mark.parametrize("number", range(2))
def test_from_outside(http, number):
    assert http.post("/posts/hello").json() == {"id": 1}
