import os

os.environ.setdefault("CITIES_DB_URL", "postgresql+psycopg://localhost/cities")

from litestar.testing import AsyncTestClient

from app import app


async def test_health():
    async with AsyncTestClient(app) as client:
        assert (await client.get("/health")).text == "ok"
