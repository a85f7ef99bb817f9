"""Authentication from outside, where many come at once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import httpx

PASSWORD = "correct horse battery staple"


def test_concurrent_registrations_create_one_user(http: httpx.Client) -> None:
    registration = {"email": "many@example.com", "name": "Many", "password": PASSWORD}

    def register(_: int) -> int:
        return http.post("/auth/register", json=registration).status_code

    with ThreadPoolExecutor(8) as pool:
        codes = Counter(pool.map(register, range(8)))
    assert codes == {HTTPStatus.CREATED: 1, HTTPStatus.CONFLICT: 7}
    assert len(http.get("/mailbox", params={"to": "many@example.com"}).json()) == 1


def test_a_refresh_token_is_accepted_once(http: httpx.Client) -> None:
    proof = {"email": "twice@example.com", "password": PASSWORD}
    http.post("/auth/register", json=proof | {"name": "Twice"}).raise_for_status()
    (message,) = http.get("/mailbox", params={"to": proof["email"]}).json()
    http.post("/auth/verify", json={"token": message["token"]}).raise_for_status()
    token = http.post("/auth/login", json=proof).raise_for_status().json()["refresh_token"]

    def refresh(_: int) -> int:
        return http.post("/auth/refresh", json={"token": token}).status_code

    with ThreadPoolExecutor(4) as pool:
        codes = Counter(pool.map(refresh, range(4)))
    assert codes == {HTTPStatus.OK: 1, HTTPStatus.UNAUTHORIZED: 3}
