from testdb.fixtures import app, client, session  # noqa: F401
