"""Forty clients at once: each is served, and of those who want the same e-mail one gets it."""

import asyncio
from collections import Counter
from http import HTTPStatus

import httpx

from testdb.processes.examples import service_client

CLIENTS = 40


async def create(url: httpx.URL, name: str, email: str) -> int:
    """Create a user over a connection of its own; returns the status code."""
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
        return (await client.post("/users", json={"name": name, "email": email})).status_code


async def rush(url: httpx.URL) -> None:
    """Let all clients come at the same time: with different e-mails, then with one."""
    names = [f"client {number}" for number in range(CLIENTS)]
    different = await asyncio.gather(
        *(create(url, name, f"{name[7:]}@example.com") for name in names)
    )
    print(f"different e-mails: {Counter(different)}")
    assert Counter(different) == {HTTPStatus.CREATED: CLIENTS}

    same = await asyncio.gather(*(create(url, name, "same@example.com") for name in names))
    print(f"the same e-mail: {Counter(same)}")
    assert Counter(same) == {HTTPStatus.CREATED: 1, HTTPStatus.CONFLICT: CLIENTS - 1}


def main() -> None:
    """Send the clients, and count who is stored."""
    with service_client(__file__) as client:
        asyncio.run(rush(client.base_url))
        stored = client.get("/users").raise_for_status().json()
        print(f"stored: {len(stored)} users")
        assert len(stored) == CLIENTS + 1


if __name__ == "__main__":
    main()
