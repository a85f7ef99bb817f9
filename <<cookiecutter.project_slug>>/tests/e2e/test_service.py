"""The service as its clients meet it: over the network, with wrong input, many at once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import httpx
import pytest

ADA = {"email": "ada@example.com", "name": "Ada"}


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"email": "ada@example.com"},
        ADA | {"email": "nobody"},
        ADA | {"email": "@".join(["a" * 250, "example.com"])},
        ADA | {"name": ""},
        ADA | {"name": "A" * 101},
        ADA | {"name": "A\0da"},
        ADA | {"name": 1},
    ],
    ids=str,
)
def test_a_wrong_user_is_refused(http: httpx.Client, wrong: dict[str, object]) -> None:
    assert http.post("/users", json=wrong).status_code == HTTPStatus.UNPROCESSABLE_ENTITY


@pytest.mark.parametrize("path", ["/users/x", "/users/99999999999999999999", "/users?limit=0"])
def test_a_wrong_address_is_refused(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == HTTPStatus.UNPROCESSABLE_ENTITY


def test_what_is_no_json_is_refused(http: httpx.Client) -> None:
    answer = http.post("/users", content=b"{", headers={"Content-Type": "application/json"})
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY


def test_concurrent_signups_create_one_user(http: httpx.Client) -> None:
    def sign_up(number: int) -> int:
        grace = {"email": "grace@example.com", "name": f"Grace {number}"}
        return http.post("/users", json=grace).status_code

    with ThreadPoolExecutor(8) as pool:
        codes = Counter(pool.map(sign_up, range(16)))
    assert codes == {HTTPStatus.CREATED: 1, HTTPStatus.CONFLICT: 15}
