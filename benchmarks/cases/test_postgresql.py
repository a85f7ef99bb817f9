"""One insert a test with pytest-postgresql, which clones a database for each, and none."""

import os
from typing import Any

import psycopg
from pytest_postgresql import factories


def make_tables(**server: Any) -> None:  # noqa: ANN401  the plugin passes what it likes
    server.pop("autocommit", None)
    with psycopg.connect(**server) as connection:
        connection.execute(
            "CREATE TABLE users (id serial PRIMARY KEY, email varchar(254) UNIQUE NOT NULL,"
            " name varchar(100) NOT NULL, created_at timestamptz NOT NULL DEFAULT now())"
        )
        for number in range(int(os.environ["BENCHMARK_TABLES"]) - 1):
            connection.execute(
                f"CREATE TABLE other{number} (id serial PRIMARY KEY, note varchar(100) NOT NULL)"
            )


server = factories.postgresql_noproc(
    host=os.environ["BENCHMARK_SOCKET"], port=5432, user="postgres", load=[make_tables]
)
database = factories.postgresql("server")


def test_nothing() -> None:
    pass


def insert(database: psycopg.Connection) -> None:
    database.execute("INSERT INTO users (email, name) VALUES ('ada@example.com', 'Ada')")
    database.commit()


def test_clone(database: psycopg.Connection) -> None:
    insert(database)


def test_clone_ddl(database: psycopg.Connection) -> None:
    database.execute("ALTER TABLE users ADD COLUMN nickname text")
    insert(database)
