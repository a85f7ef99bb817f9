"""The tasks db.create, db.list and db.drop: what they make stays until it is dropped."""

import json
import re

from harness.environment import clean_variables
from harness.external import PASSWORD, ExternalServer, spellings_of_the_password
from harness.outcome import run
from harness.parameters import LOGICAL, two_by_default
from harness.project import NewProject, Project

TELLS = '''"""Tells what is on the server while its service uses both databases."""

import subprocess

from testdb.processes.examples import service_client

with service_client(__file__) as client:
    client.get("/users").raise_for_status()
    client.get("/candles/BTCUSD").raise_for_status()
    subprocess.run(["invoke", "db.list", "--json"], check=True)
'''


def test_two_logical_databases_come_and_go_together(
    new_project: NewProject, external_server: ExternalServer
) -> None:
    """Scenario A."""
    project = new_project(databases="two").with_shell(**external_server.variables)
    project.run("invoke", "db.create", "--demo")
    created = external_server.in_use()
    assert {name.split("_")[4] for name in created} == {"main", "timeseries"}
    assert len({name.split("_")[2] for name in created}) == 1, "they belong to several runs"
    project.run("invoke", "db.drop", created[0].split("_")[2])
    assert external_server.in_use() == []
    template, *_ = (name for name in external_server.databases().values() if "_template_" in name)
    refused = project.run("invoke", "db.drop", template.split("_")[2], code=1)
    refused.expect("There is no database or run")

    project.write("examples/example_tells.py", TELLS)
    told = json.loads(project.run("python", "examples/example_tells.py").stdout)
    used = [row for row in told if row["kind"] == "example"]
    assert {(row["logical"], row["alive"]) for row in used} == {
        ("main", True),
        ("timeseries", True),
    }
    assert len({row["run"] for row in used}) == 1
    assert external_server.in_use() == []


@two_by_default
def test_a_created_database_stays_until_it_is_dropped(
    new_project: NewProject, external_server: ExternalServer, databases: str
) -> None:
    project = new_project(databases=databases).with_shell(**external_server.variables)
    created = project.run("invoke", "db.create")
    urls = dict(re.findall(r"^(\w+): (postgresql://.*)$", created.stdout, re.MULTILINE))
    assert set(urls) == LOGICAL[databases]
    created.expect_none_of(*spellings_of_the_password())

    project.run("invoke", "db.sweep")
    kept = project.databases()
    assert {(row["logical"], row["kind"], row["kept"]) for row in kept} == {
        (logical, "created", True) for logical in LOGICAL[databases]
    }
    psql = project.environment.postgresql() / "pginstall/bin/psql"
    password = {"PGPASSWORD": PASSWORD}
    for url in urls.values():
        query = ("--tuples-only", "--command=SELECT count(*) FROM alembic_version")
        answer = run(psql, url, *query, cwd=project.path, env={**clean_variables(), **password})
        assert answer.stdout.split() == ["1"]
    first, *others = [row["name"] for row in kept]
    project.run("invoke", "db.drop", first)
    assert external_server.in_use() == others


def test_what_is_not_disposable_is_never_dropped(
    project: Project, external_server: ExternalServer
) -> None:
    name = """Bobby's "db"; --"""
    with external_server.database(name):
        before = external_server.databases()
        done = project.run("invoke", "db.drop", "--name", name, "--force", code=1)
        assert external_server.databases() == before
    done.expect_none_of("Traceback").expect(repr(name)[1:-1], "is not a disposable database")
