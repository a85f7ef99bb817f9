"""The development mailbox is off unless it is set on. No database, no server."""

from http import HTTPStatus

import pytest
from httpx import ASGITransport, AsyncClient
from pydantic import SecretStr

from <<cookiecutter.package_name>>.app import create_app
from <<cookiecutter.package_name>>.databases import LOGICAL_DATABASES
from <<cookiecutter.package_name>>.settings import ENV_PREFIX, Settings


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_nobody_reads_or_sends_mail_without_the_setting(method: str) -> None:
    unused = SecretStr("postgresql+psycopg://nobody@localhost/nowhere")
    app = create_app(Settings(database_urls=dict.fromkeys(LOGICAL_DATABASES, unused)))
    path = {"GET": "/mailbox?to=ada@example.com", "POST": "/auth/request-reset"}[method]
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://service") as client,
    ):
        answer = await client.request(method, path, json={"email": "ada@example.com"})
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert f"{ENV_PREFIX}DEVELOPMENT_MAILBOX" in answer.json()["detail"]
