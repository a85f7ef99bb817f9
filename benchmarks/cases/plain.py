"""The statements of a test over one plain connection, and a bare round trip: how long they take."""

import json
import os
import time
from collections.abc import Callable

import psycopg


def measure(what: Callable[[], object]) -> list[float]:
    """Do it many times; returns how long each took, in seconds."""
    seconds = []
    for _ in range(int(os.environ["BENCHMARK_TESTS"])):
        started = time.perf_counter()
        what()
        seconds.append(time.perf_counter() - started)
    return seconds


with psycopg.connect(os.environ["BENCHMARK_URL"]) as connection:
    connection.execute(
        "CREATE TEMPORARY TABLE users (id serial, email varchar(254), name varchar(100))"
    )
    connection.commit()

    def insert() -> None:
        """Insert and commit, as the baked project's session does."""
        connection.execute(
            "INSERT INTO users (email, name) VALUES (%s, %s) RETURNING id",
            ["ada@example.com", "Ada"],
        )
        connection.commit()

    statements = measure(insert)
    connection.autocommit = True
    trips = measure(lambda: connection.execute("SELECT 1"))
print(json.dumps({"statements": statements, "trips": trips}))
