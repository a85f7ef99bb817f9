"""The tasks db.create, db.list and db.drop: what they make stays until it is dropped."""

import json
import re
import shutil
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Final

import pytest
from psycopg import sql

from harness.environment import clean_variables
from harness.external import PASSWORD, ExternalServer, spellings_of_the_password
from harness.outcome import run
from harness.parameters import LOGICAL, two_by_default
from harness.project import NewProject, Project
from harness.suite import EVERY_WAY, write

TELLS = '''"""Tells what is on the server while its service uses both databases."""

import subprocess

from testdb.processes.examples import service_client

with service_client(__file__) as client:
    client.get("/users").raise_for_status()
    client.get("/candles/BTCUSD").raise_for_status()
    subprocess.run(["invoke", "db.list", "--json"], check=True)
'''

IN_THE_WAY = (
    "CREATE SUBSCRIPTION in_the_way CONNECTION '' PUBLICATION none"
    " WITH (connect = false, slot_name = NONE)"
)
"""DROP DATABASE fails at once where there is a subscription, which is no session."""
ALL_TASKS = """
from tasks import namespace
from tasks.reporting import Task

assert namespace.task_names
print([name for name in namespace.task_names if not isinstance(namespace[name], Task)])
"""
DRY_TASKS: Final = """
from invoke.config import Config
from invoke.context import Context
from invoke.exceptions import Exit
from tasks import namespace

dry = Context(Config(overrides={"run": {"dry": True}}))
assert namespace.task_names
for name in namespace.task_names:
    try:
        namespace[name](dry)
    except Exit as refused:
        assert refused.code == 1
        print(refused)
"""


BILLING_BASE: Final = """\
class BillingBase(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


"""
BILL: Final = """

from sqlalchemy.orm import Mapped, mapped_column

from my_service.databases import BillingBase


class Bill(BillingBase):
    __tablename__ = "bills"
    id: Mapped[int] = mapped_column(primary_key=True)
"""
FINDS_BILLING: Final = """
from sqlalchemy import func, select

from my_service.health import Bill


@every_way
async def test_finds_billing(sessions, fetch_rows, way):
    assert (await fetch_rows(select(Bill), logical="billing")) == []
    sessions["billing"].add(Bill())
    await sessions["billing"].commit()
    assert (await fetch_rows(select(Bill.id), logical="billing")) == [(1,)]
"""
USED: Final = """
import sys
from testdb.runs import kept

with kept.use(sys.argv[1]) as databases:
    print(*databases.urls)
"""
KEY_OF: Final = "import sys; from testdb.postgres.leases import key_of; print(key_of(sys.argv[1]))"


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
    dry = project.run("invoke", "db.sweep", "--kept", "--dry", code=1)
    (line,) = dry.output.splitlines()
    assert "`invoke db.sweep --dry-run`" in line
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
    project.run("invoke", "db.sweep", "--kept").find(rf"Dropped {len(others)} databases? in ")
    status = project.run("invoke", "server.status")
    status.expect("used:   no, TESTDB_SERVER_URL names another server", "stopped")


def add_billing(project: Project) -> None:
    """Add a logical database as the project's README says."""
    folder = project / "src/my_service/migrations/billing"
    folder.mkdir()
    models = "src/my_service/databases.py"
    project.replace(models, "LOGICAL_DATABASES: Final", f"{BILLING_BASE}LOGICAL_DATABASES: Final")
    row = '    "main": MainBase.metadata,\n'
    project.replace(models, row, f'{row}    "billing": BillingBase.metadata,\n')
    project.write(
        "src/my_service/health.py", (project / "src/my_service/health.py").read_text() + BILL
    )
    project.run("invoke", "db.revision", "add bills", "--logical", "billing")


@two_by_default
def test_a_logical_database_that_is_added_comes_to_tests_and_to_what_was_created(
    new_project: NewProject, external_server: ExternalServer, databases: str
) -> None:
    project = new_project(databases=databases).with_shell(**external_server.variables)
    created = [project.run("invoke", "db.create", "--days", days) for days in ("2", "1")]
    older, newer = (done.find("db.drop ([0-9a-f]{10})")[1] for done in created)
    alone = created[0].find(r"^main: postgresql://.*/(\w+)$")[1]
    add_billing(project)
    project.run("pytest", write(project, EVERY_WAY + FINDS_BILLING)).expect("2 passed")

    project.run("invoke", "db.migrate", "--on", alone).expect_none_of("billing")
    added = project.run("invoke", "db.migrate", "--on", older)
    name = added.find(rf"^billing: postgresql://.*/(testdb_myservice_{older}_\w+)$")[1]
    rest = project.run("invoke", "db.migrate")
    rest.expect_times(1, "^billing: ").expect_times(1, f"^billing: .*_{newer}_")
    made = markers(external_server)
    assert {(marker["run"], marker["logical"]) for marker in made.values()} == set(
        product((older, newer), {*LOGICAL[databases], "billing"})
    )
    assert {marker["kind"] for marker in made.values()} == {"created"}
    assert made[name]["kept_until"] == made[alone]["kept_until"]

    with external_server.connect() as administrator:
        unmark = sql.SQL("COMMENT ON DATABASE {} IS NULL").format(sql.Identifier(name))
        administrator.execute(unmark)  # as if db.migrate had been killed before it wrote that
        key = project.run("python", "-c", KEY_OF, older).stdout
        administrator.execute("SELECT pg_advisory_lock_shared(%s)", [key])
        refused = project.run("invoke", "db.migrate", "--on", older, code=1)
        refused.expect("was not migrated: somebody uses").expect_none_of("Traceback")
    project.run("invoke", "db.migrate").expect_times(1, f"^billing: .*/{name}$")
    assert markers(external_server)[name]["kept_until"] == made[alone]["kept_until"]

    shutil.rmtree(project / "src/my_service/migrations/billing")
    created = project.run("invoke", "db.create", code=1)
    created.expect("LOGICAL_DATABASES names what has no folder of migrations").expect_none_of(
        "Traceback"
    )
    project.replace("src/my_service/databases.py", '    "billing": BillingBase.metadata,\n', "")
    rest = project.run("invoke", "db.migrate", "--on", newer)
    rest.expect_times(1, "was left alone: the service has no logical database billing any more")
    rest.expect_times(len(LOGICAL[databases]), "is at the newest revision")
    assert set(project.run("python", "-c", USED, newer).stdout.split()) == LOGICAL[databases]


@two_by_default
def test_what_is_not_migrated_is_named_and_all_else_is_migrated(
    new_project: NewProject, external_server: ExternalServer, databases: str
) -> None:
    project = new_project(databases=databases).with_shell(**external_server.variables)
    older, newer = (project.run("invoke", "db.create").find(r"db\.drop (\w+)")[1] for _ in range(2))
    foreign = next(n for n in external_server.in_use() if f"_{older}_person_main_" in n)
    with closing(external_server.connect(foreign)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'elsewhere'")
    piped = ("bash", "-c", "invoke db.migrate 2>&1")
    done = project.run(*piped, code=1).expect_none_of("Traceback")
    assert done.stdout.splitlines()[-1].startswith("Not all databases were migrated; see above")
    done.expect(f"{foreign} was not migrated: ", "Can't locate revision identified by 'elsewhere'")
    done.expect("main fails in src/my_service/migrations/main\n", f"`invoke db.drop {older}`.")
    done.expect_none_of(f"`invoke db.drop {newer}`")
    done.expect_times(2 * len(LOGICAL[databases]) - 1, "is at the newest revision")
    on_both = {
        run: project.run("invoke", "service.run", "--on", run, "--port", "70000", code=1)
        for run in (older, newer)
    }
    on_both[older].expect(
        f"Not at the newest revision: main. `invoke db.migrate --on {older}` migrates."
    )
    on_both[newer].expect("70000").expect_none_of("newest revision")


def markers(server: ExternalServer) -> dict[str, dict[str, str]]:
    """Read the markers of all databases that are in use."""
    query = "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database"
    with server.connect() as connection:
        comments = dict(connection.execute(query).fetchall())
    return {name: json.loads(comments[name]) for name in server.in_use()}


def test_what_is_not_disposable_is_never_dropped(
    project: Project, external_server: ExternalServer
) -> None:
    name = """Bobby's "db"; --"""
    with external_server.database(name):
        before = external_server.databases()
        done = project.run("invoke", "db.drop", name, "--force", code=1)
        assert external_server.databases() == before
    done.expect_none_of("Traceback").expect(repr(name)[1:-1], "is not a disposable database")


def test_the_databases_of_a_run_are_dropped_together_or_not_at_all(
    new_project: NewProject, external_server: ExternalServer
) -> None:
    """The second one is in use."""
    project = new_project(databases="two").with_shell(**external_server.variables)
    run = project.run("invoke", "db.create").find(r"db\.drop (\w+)")[1]
    first, second = sorted(external_server.in_use())
    with closing(external_server.connect(second)) as connection:
        refused = project.run("invoke", "db.drop", run, code=1)
        refused.expect(f"Nothing was dropped: {second} is used by a session of administrator")
        assert sorted(external_server.in_use()) == [first, second]

        connection.execute(IN_THE_WAY)
    dropped = project.run("invoke", "db.drop", run, code=1)
    with closing(external_server.connect(second)) as connection:
        connection.execute("DROP SUBSCRIPTION in_the_way")
    dropped.expect(f"Dropped: {first}. Not dropped: {second}.").expect_none_of("Traceback")
    assert external_server.in_use() == [second]


def test_a_shell_opens_the_database_that_is_meant(
    new_project: NewProject, external_server: ExternalServer, tmp_path: Path
) -> None:
    tells = tmp_path / "psqlrc"
    tells.write_text("SELECT current_database();")
    project = new_project(databases="two").with_shell(
        **external_server.variables, PSQLRC=str(tells)
    )
    none = project.run("invoke", "db.shell", code=1)
    none.expect("`invoke db.create` has made no database main", "--on")
    runs = [project.run("invoke", "db.create").find(r"db\.drop (\w+)")[1] for _ in range(2)]
    older = next(name for name in external_server.in_use() if f"{runs[0]}_person_time" in name)
    for arguments, opened in {
        (): f"{runs[1]}_person_main_",
        ("--logical", "timeseries"): f"{runs[1]}_person_timeseries_",
        ("--on", runs[0]): f"{runs[0]}_person_main_",
        ("--on", older): older,
    }.items():
        project.run("invoke", "db.shell", *arguments).expect(opened)
    wrong = project.run("invoke", "db.shell", "--logical", "other", code=1)
    wrong.expect("There is no logical database 'other', only main, timeseries.")


@pytest.mark.parametrize(
    ("task", "option", "wrong"),
    [
        ("db.create", "--days", "x"),
        ("db.create", "--days", "nan"),
        ("db.create", "--days", "0"),
        ("db.create", "--days", "-1"),
        ("service.run", "--port", "x"),
        ("service.run", "--port", "70000"),
    ],
)
def test_a_wrong_number_is_told_in_one_line(
    project: Project, task: str, option: str, wrong: str
) -> None:
    refused = project.run("invoke", task, f"{option}={wrong}", code=1)
    assert (refused.stdout, refused.stderr.count("\n")) == ("", 1)
    refused.expect(option, wrong)


def test_every_task_has_such_options(project: Project) -> None:
    assert project.run("python", "-c", ALL_TASKS).stdout == "[]\n"


def test_no_task_takes_the_dry_run_of_invoke_for_a_run(project: Project) -> None:
    refused = project.run("python", "-c", DRY_TASKS).stdout.splitlines()
    assert len(refused) > 10
    assert len(set(refused)) == 1


def test_the_readme_tells_which_extensions_the_embedded_server_has(
    embedded_project: Project,
) -> None:
    embedded_project.run("invoke", "db.create")
    ask = "echo 'SELECT name FROM pg_available_extensions' | invoke db.shell"
    there = set(embedded_project.run("bash", "-ec", ask).stdout.split())
    readme = (embedded_project / "README.md").read_text()
    section = readme[readme.index("**Extensions**") :]
    has, lacks, also = re.split(r"\bbut for\b|\band it has\b", section.partition("\n\n")[0])
    named = [set(re.findall(r"`([a-z_-]+)`", part)) for part in (has, lacks, also)]
    assert named[0] | named[2] <= there
    assert named[1]
    assert there.isdisjoint(named[1])
