"""Projects that never heard of this template adopt testdb; their owners write a line or two.

They stand in tests/foreign, as their owners wrote them. What the owners did once they had adopted
stands in tests/foreign/adopted: changes of files of theirs as owner.patch, and new tests.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import pytest
import uv

from harness import embedded
from harness.baking import TEMPLATE
from harness.environment import Environment, clean_variables
from harness.external import ExternalServer
from harness.gate import WAIT, Gate
from harness.outcome import Outcome, run
from harness.project import Bake, Project
from harness.suite import audit
from harness.watching import MARK, wait_until_gone

FOREIGN: Final = Path(__file__).with_name("foreign")
ADOPTED: Final = FOREIGN / "adopted"
VARIANTS: Final = {
    *("testdb/adapter.py", "testdb/engines.py", "testdb/fixtures.py", "testdb/requirements.txt"),
    *("testdb/identity/interpreter.py", "testdb/identity/project.py"),
}
"""What testdb has or says otherwise in an adopted project."""


@dataclass(frozen=True)
class Foreign:
    """A foreign project, and what is known of it."""

    name: str
    install: tuple[str, ...]
    """What its owner installs, as arguments of pip."""
    own_tests: int
    new_tests: int
    commits: str
    """A test that commits a key which only one can have."""


SHOP: Final = Foreign(
    "sqlmodel_shop",
    ("--requirements", "pyproject.toml", "--group", "dev"),
    own_tests=6,
    new_tests=8,
    commits="""
def test_commits(client, twin):
    cup = {"sku": "CUP-1", "name": "Cup", "price_cents": 900}
    assert client.post("/products", json=cup).status_code == 201
    wait_at_the_gate()
""",
)
NOTES: Final = Foreign(
    "flask_notes",
    ("--editable", ".[test]"),
    own_tests=5,
    new_tests=8,
    commits="""
def test_commits(client, twin):
    assert client.post("/notebooks", json={"title": "Travel"}).status_code == 201
    wait_at_the_gate()
""",
)
BLOG: Final = Foreign(
    "flask_blog",
    ("--requirements", "requirements.txt"),
    own_tests=1,
    new_tests=7,
    commits="""
def test_commits(client, twin):
    assert client.post("/posts/hello").status_code == 200
    wait_at_the_gate()
""",
)
CITIES: Final = Foreign(
    "litestar_cities",
    ("--requirements", "requirements-dev.txt"),
    own_tests=1,
    new_tests=7,
    commits="""
async def test_commits(client, twin):
    oslo = {"name": "Oslo", "country": "Norway"}
    assert (await client.post("/cities", json=oslo)).status_code == 201
    wait_at_the_gate()
""",
)
EVERY: Final = (SHOP, NOTES, BLOG, CITIES)
LOOSER: Final = "ANN401,ARG001,I001,RUF100"
"""Rules for less than what any service is: its types, its fixtures and its order of imports."""
WAITING: Final = f"""
import pytest
{WAIT}

@pytest.mark.parametrize("twin", [1, 2])"""


def adopt(path: Path, *arguments: str, code: int = 0) -> Outcome:
    """Run the command."""
    program = (sys.executable, str(TEMPLATE / "adopt"), str(path), *arguments)
    return run(*program, cwd=path.parent, env=clean_variables(), code=code)


def git(project: Path, *arguments: str) -> str:
    """Run git, and get what it says."""
    who = ("-c", "user.name=Owner", "-c", "user.email=owner@example.com")
    done = run("git", *who, *arguments, cwd=project, env=clean_variables())
    return done.stdout


def under_git(path: Path) -> Path:
    """Commit all that is there."""
    git(path, "init", "--quiet", "--initial-branch", "main")
    git(path, "add", "--all")
    git(path, "commit", "--quiet", "--allow-empty", "--message", "As it was")
    return path


def copied(foreign: Foreign, directory: Path) -> Path:
    """Copy a foreign project, as its owner has it."""
    made = shutil.ignore_patterns("__pycache__", ".pytest_cache", "*.egg-info")
    path = directory / foreign.name.replace("_", "-")
    return under_git(Path(shutil.copytree(FOREIGN / foreign.name, path, ignore=made)))


def write(files: dict[str, str], path: Path) -> Path:
    """Write a project, and commit it."""
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return under_git(path)


def changes(text: str) -> list[str]:
    """Leave out of a patch what differs between two versions of git."""
    return [line for line in text.splitlines() if not line.startswith("index ")]


@pytest.fixture
def variables(
    foreign: Foreign, external_server: ExternalServer, homes: Path, mark: str
) -> dict[str, str]:
    """Use the external server for one of them, and embedded ones for the others."""
    server = {"TESTDB_HOME": str(embedded.new_home(homes))}
    return {MARK: mark, **(external_server.variables if foreign is SHOP else server)}


@pytest.fixture
def project(foreign: Foreign, tmp_path: Path, variables: dict[str, str]) -> Project:
    """Have a foreign project adopted, in an environment with what it and testdb ask for alone."""
    path = copied(foreign, tmp_path)
    adopt(path).expect("Left as it is: ", "Read testdb/adapter.py, and run: pytest -n 2")
    environment = Environment(tmp_path / "environment")
    tool = uv.find_uv_bin()
    make = (tool, "venv", "--quiet", "--python", sys.executable, environment.path)
    install = (tool, "pip", "install", "--quiet", "--python", environment.python)
    wanted = ("--requirements", "testdb/requirements.txt", *foreign.install)
    for command in (make, (*install, *wanted)):
        run(*command, cwd=path, env=clean_variables())
    return Project(path, environment, variables)


@pytest.mark.parametrize(
    "foreign",
    [
        SHOP,
        pytest.param(NOTES, marks=pytest.mark.long),
        pytest.param(BLOG, marks=pytest.mark.long),
        pytest.param(CITIES, marks=pytest.mark.long),
    ],
    ids=lambda foreign: foreign.name,
)
def test_a_foreign_project_has_what_a_generated_one_has(
    project: Project, foreign: Foreign, gate: Gate
) -> None:
    patch = ADOPTED / foreign.name / "owner.patch"
    if patch.exists():
        git(project.path, "apply", str(patch))
    shutil.copytree(ADOPTED / foreign.name / "tests", project / "tests", dirs_exist_ok=True)
    done = project.run("pytest", "-n", "2")
    done.expect(f"{foreign.own_tests + foreign.new_tests} passed", "template main migrated in")
    counts = audit(done)
    assert counts["created"] == counts["dropped"] > 3
    assert counts["kept"] == counts["left"] == 0
    two_workers_commit_the_same_key_and_are_killed(project, foreign, gate)
    swept = project.run("invoke", "db.sweep")
    swept.expect("its run is dead", "Dropped 2 databases").expect_none_of("no test, example")
    assert project.databases() == []
    assert changes(git(project.path, "diff")) == changes(
        patch.read_text() if patch.exists() else ""
    )
    if foreign is SHOP:
        own_tests_run_on_postgresql_once_the_owner_deletes_two_fixtures(project)


def two_workers_commit_the_same_key_and_are_killed(
    project: Project, foreign: Foreign, gate: Gate
) -> None:
    folder = "tests/postgres" if foreign is SHOP else "tests"
    path = project.write(f"{folder}/test_waits.py", WAITING + foreign.commits)
    there = project.with_shell(**gate.variables)
    running = there.start("pytest", "-n", "2", path)
    there.wait_for(running, lambda: len(gate.arrived()) == 2, "to commit in both workers")
    during = project.databases()
    assert {row["worker"] for row in during} == {"gw0", "gw1"}
    assert {(row["kind"], row["alive"], row["kept"]) for row in during} == {("worker", True, False)}
    os.killpg(running.pid, signal.SIGKILL)
    project.finish(running, code=-signal.SIGKILL)
    if foreign is SHOP:  # else its server is one of the processes that carry the mark
        wait_until_gone(project.shell[MARK])
    (project / path).unlink()


def own_tests_run_on_postgresql_once_the_owner_deletes_two_fixtures(project: Project) -> None:
    conftest = project / "tests/conftest.py"
    text = conftest.read_text()
    conftest.write_text(text[: text.index('@pytest.fixture(name="session")')])
    done = project.run("pytest", "tests/test_products.py", "tests/test_orders.py", "-v")
    done.expect("6 passed", "no migration ran")
    assert audit(done)["created"] == 1


@pytest.mark.long
@pytest.mark.parametrize("foreign", EVERY, ids=lambda foreign: foreign.name)
def test_the_tasks_and_sessions_of_an_adopted_project(project: Project, foreign: Foreign) -> None:
    patch = ADOPTED / foreign.name / "owner.patch"
    if patch.exists():
        git(project.path, "apply", str(patch))
    created = project.run("invoke", "db.create").find(r"db\.drop (\w+)`")[1]
    project.run("invoke", "db.migrate").expect("is at the newest revision")
    project.run("invoke", "db.revision", "nothing", code=1).expect("there is nothing to write")
    project.run("invoke", "db.revision", "more", "--empty")
    written = git(project.path, "ls-files", "--others", "--exclude-standard", "*_more.py")
    assert "versions/" in written
    (project / written.strip()).unlink()
    project.run("invoke", "db.drop", created)
    bare = {"PYTHONPATH": ""}  # as in the shell of its owner
    project.run("invoke", "examples.run", env=bare).find("health .*passed")
    project.nox("-s", "tests").expect(f"{foreign.own_tests} passed")


@pytest.mark.long
@pytest.mark.parametrize("foreign", [NOTES], ids=["flask_notes"])
def test_what_leads_to_a_real_database_is_refused_in_one_message(project: Project) -> None:
    project.run("pytest", "-n", "0")
    env = "migrations/env.py"
    text = (project / env).read_text()
    for driver, message in {
        "psycopg": "A connection to the database 'notes' was refused: it is not disposable",
        "psycopg2": "The service connects by psycopg2, which testdb cannot watch.",
    }.items():
        engine = (
            f"import sqlalchemy\nmade = sqlalchemy.create_engine('postgresql+{driver}:///notes')\n"
        )
        project.write(env, engine + text.replace("with connectable.", "with made."))
        for command in (("pytest", "-n", "0"), ("invoke", "db.create")):
            refused = project.run(*command, code=None).expect(message)
            assert refused.code != 0
            refused.expect_none_of("Traceback", "INTERNALERROR")
    project.write(env, text)
    project.write(
        "tests/test_at_import.py",
        'from notes import create_app\n\ncreate_app().extensions["engine"].connect()\n',
    )
    refused = project.run("pytest", "-n", "0", code=None)
    refused.expect("tests/test_at_import.py:3", "'none' was refused: it is not disposable")


@pytest.mark.long
@pytest.mark.parametrize("foreign", [BLOG], ids=["flask_blog"])
def test_what_migrations_were_never_held_to_can_be_left_unchecked(project: Project) -> None:
    git(project.path, "apply", str(ADOPTED / "flask_blog" / "owner.patch"))
    (migration,) = project.path.glob("migrations/versions/*.py")
    named = migration.relative_to(project.path).as_posix()
    project.replace(named, "op.drop_table('post')", "op.drop_table('posts')")
    project.replace("blog/__init__.py", "db.String(80)", "db.String(99)")
    checks = 'MIGRATION_CHECKS: Final = ("models", "downgrades")'
    for message, left in (
        ("Models and migrations of the logical database main disagree", '("downgrades",)'),
        (f"Undoing the migrations of the logical database main fails in {named}:", "()"),
    ):
        project.run("pytest", "-n", "0", code=pytest.ExitCode.USAGE_ERROR).expect(message)
        project.replace("testdb/adapter.py", checks, f"MIGRATION_CHECKS: Final = {left}")
        checks = f"MIGRATION_CHECKS: Final = {left}"
    project.run("pytest", "-n", "0").expect("1 passed")


@pytest.fixture(scope="module")
def adopted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Foreign], Path]:
    """Adopt each project once, for tests that only look: what is new is what git does not track."""

    @cache
    def adopted(foreign: Foreign) -> Path:
        path = copied(foreign, tmp_path_factory.mktemp("adopted"))
        adopt(path)
        return path

    return adopted


def new_files(path: Path, *places: str) -> list[str]:
    """List what git does not track."""
    return git(path, "ls-files", "--others", "--exclude-standard", *places).splitlines()


@pytest.mark.parametrize("foreign", EVERY, ids=lambda foreign: foreign.name)
def test_nothing_of_theirs_is_changed_however_often(
    foreign: Foreign, adopted: Callable[[Foreign], Path]
) -> None:
    path = adopted(foreign)
    new = {name: (path / name).read_text() for name in new_files(path)}
    assert git(path, "diff", "HEAD") == ""
    for name, text in new.items():
        assert not [left for left in ("<<", "<%", "# demo") if left in text], name
    adopt(path).expect("Written: nothing\n", "Left as it is: examples/ (2 files)")
    assert git(path, "diff", "HEAD") == ""
    assert {name: (path / name).read_text() for name in new_files(path)} == new


@pytest.mark.parametrize("foreign", EVERY, ids=lambda foreign: foreign.name)
def test_the_rooms_are_those_of_a_generated_project(
    foreign: Foreign, adopted: Callable[[Foreign], Path], bake: Bake
) -> None:
    path, baked = adopted(foreign), bake()
    generated = {
        file.relative_to(baked).as_posix()
        for file in baked.glob("testdb/**/*")
        if file.is_file() and file.suffix != ".pyc"
    }
    assert set(new_files(path, "testdb")) == generated | VARIANTS
    for name in generated - VARIANTS:
        assert (path / name).read_text() == (baked / name).read_text(), name


@pytest.mark.parametrize("foreign", EVERY, ids=lambda foreign: foreign.name)
def test_what_an_adopter_gets_is_formatted_and_lint_clean(
    foreign: Foreign,
    adopted: Callable[[Foreign], Path],
    bake: Bake,
    environment: Environment,
) -> None:
    path = adopted(foreign)
    ruff, config = environment.path / "bin" / "ruff", f"--config={bake() / 'pyproject.toml'}"
    new = new_files(path, "*.py")
    run(ruff, "format", "--check", config, *new, cwd=path, env=clean_variables())
    run(ruff, "check", config, f"--ignore={LOOSER}", *new, cwd=path, env=clean_variables())


REFUSALS: Final = {
    "no folder": ("rm -r project", "is no folder"),
    "no git": ("rm -r project/.git", "undoes it (fatal: not a git repository"),
    "no commit": ("rm project/.git/refs/heads/main", "has no commit"),
    "own testdb": ("cp -r project/app project/testdb", "exists, and is not of this template"),
    "made from the template": (
        f"cp -r {TEMPLATE}/<<cookiecutter.project_slug>>/testdb project/testdb",
        "was made from this template, and adopts nothing",
    ),
    "own module": ("touch project/testdb.py", "exists, and is not of this template"),
    "no package": ("rm -r project/app", "Name the one that is the service"),
    "two packages": ("cp -r project/app project/core", "has app, core. Name the one"),
    "no TOML": ("cp project/README.md project/pyproject.toml", "pyproject.toml cannot be read"),
    "no alembic.ini": ("cp project/README.md project/alembic.ini", "alembic.ini cannot be read"),
    "a folder elsewhere": (
        "ln -s ../elsewhere project/examples",
        "examples is a symbolic link, and git undoes nothing behind one",
    ),
    "a file in the way": ("touch project/tasks", "tasks/__init__.py. Nothing was written."),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_is_one_line_and_nothing_is_written(tmp_path: Path, refusal: str) -> None:
    path = copied(SHOP, tmp_path).rename(tmp_path / "project")
    command, message = REFUSALS[refusal]
    subprocess.run(command.split(), cwd=tmp_path, check=True)
    before = sorted(tmp_path.rglob("*"))
    done = adopt(path, code=1).expect("ERROR: ", message, "Nothing was written.")
    assert len(done.output.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_the_template_itself_is_refused() -> None:
    adopt(TEMPLATE / "tests", code=1).expect("is the template itself").expect_times(1, "^ERROR")


def test_what_exists_is_left_and_what_it_lacks_is_said(tmp_path: Path) -> None:
    path = copied(SHOP, tmp_path)
    (path / "noxfile.py").write_text("import nox\n")
    (path / "tasks.py").write_text("from invoke import task\n")
    (path / "tests/conftest.py").write_text('import os\nos.environ["DATABASE_URL"] = "sqlite://"\n')
    adopt(path).expect(
        "Left as it is: noxfile.py",
        "To the settings of pytest in pyproject.toml, add `addopts",
        "tests/conftest.py sets DATABASE_URL",
        'add `session.install("-r", "testdb/requirements.txt")`',
        "a folder tasks/ would hide it",
    )
    assert not (path / "tasks").exists()


def test_files_of_any_encoding_are_read(tmp_path: Path) -> None:
    path = copied(SHOP, tmp_path)
    for name in ("noxfile.py", "tests/conftest.py", "tasks/__init__.py", "tox.ini"):
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_bytes(b"# -*- coding: latin-1 -*- \xe9\n")
    (path / "tests/folder.py").mkdir()
    (path / "app/dangling.py").symlink_to("nowhere.py")
    adopt(path).expect("In the sessions of noxfile.py", "To tasks/__init__.py")


def undone(done: Outcome, path: Path) -> None:
    """Run what the command says of how to undo it."""
    command = done.find("To undo this, in .*: (.*)")[1]
    run("sh", "-c", command, cwd=path, env=clean_variables())


def test_what_was_adopted_is_undone_and_nothing_else(tmp_path: Path) -> None:
    path = copied(SHOP, tmp_path)
    (path / ".gitignore").write_text("__pycache__/\n")
    (path / "tasks").mkdir()
    (path / "tasks/own.py").write_text("")
    before = {file for file in path.rglob("*") if ".git" not in file.parts}
    cached = path / "testdb/__pycache__/adapter.pyc"
    for _ in range(2):
        done = adopt(path)
        cached.parent.mkdir(exist_ok=True)
        cached.touch()
        undone(done, path)
        assert {file for file in path.rglob("*") if ".git" not in file.parts} == before
        cached.parent.mkdir(parents=True)  # is no testdb of the owner's
        cached.touch()


def test_an_update_replaces_what_the_template_wrote(tmp_path: Path) -> None:
    path = copied(SHOP, tmp_path)
    (path / "tasks").mkdir()
    (path / "tasks/service.py").write_text("# of the owner\n")
    adopt(path)
    older = ("testdb/engines.py", "testdb/identity/names.py", "tasks/db.py", "examples/run_all.py")
    newest = {name: (path / name).read_text() for name in older}
    own = ("testdb/adapter.py", "noxfile.py", "tasks/__init__.py", "testdb/factories.py")
    for name in (*older, *own, "testdb/identity/gone.py"):
        with (path / name).open("a") as file:
            file.write("# older, testdb\n")
    refused = adopt(path, "--update", code=1).expect("Commit that first")
    assert len(refused.output.splitlines()) == 1
    link = path / "testdb/identity/folder"
    link.symlink_to(".")
    under_git(path)
    adopt(path, "--update", code=1).expect("Is a directory: ", "Nothing was written.")
    assert git(path, "status", "--short") == ""
    link.unlink()
    elsewhere = (path / "tasks/db.py").rename(tmp_path / "elsewhere")
    (path / "tasks/db.py").symlink_to(elsewhere)
    under_git(path)
    adopt(path, "--update", code=1).expect("tasks/db.py is a symbolic link")
    elsewhere.rename(path / "tasks/db.py")
    under_git(path)
    shutil.rmtree(path / "testdb/postgres")
    adopt(path).expect(f"./run adopt --update {path} replaces them")
    assert git(path, "status", "--short") == ""
    (path / "app/main.py").write_text("# being edited")
    done = adopt(path, "--update")
    done.expect("Replaced: examples/ (1 files), tasks/ (1 files), testdb/ (2 files)", "Removed: ")
    assert {name: (path / name).read_text() for name in older} == newest
    changed = {f" M {name}" for name in (*older, "app/main.py")} | {" D testdb/identity/gone.py"}
    assert set(git(path, "status", "--short").splitlines()) == changed
    undone(done, path)
    assert git(path, "status", "--short") == " M app/main.py\n"


def test_what_only_speaks_of_a_database_named_testdb_is_the_owners(tmp_path: Path) -> None:
    path = copied(SHOP, tmp_path)
    own = {
        "tasks/__init__.py": "",
        "tasks/db.py": 'def create(c):\n    c.run("createdb testdb")\n',
        "noxfile.py": 'import nox\nnox.options.envdir = "testdb"\n',
        "tests/conftest.py": CONFTEST.replace("shared/test", "localhost/testdb"),
    }
    for name, text in own.items():
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text(text)
    under_git(path)
    done = adopt(path).expect(
        "In the sessions of noxfile.py",
        "To tasks/__init__.py, add `from tasks import db, examples, server, service`",
        "client of tests/conftest.py and the engine that tests/conftest.py:10 makes",
    )
    done.expect_none_of("Files of another version")
    (path / "tasks/__init__.py").write_text("from tasks import db, examples, server, service\n")
    under_git(path)
    done = adopt(path, "--update").expect("Left as it is: ")
    done.expect_none_of("Replaced", "To tasks/__init__.py")
    assert (path / "tasks/db.py").read_text() == own["tasks/db.py"]


WHEELS: Final = {
    "a package": (
        "app/__init__.py",
        "",
        'add `[tool.setuptools.packages.find]` and `include = ["app", "app.*"]`: wheels hold no',
    ),
    "a package in a folder": (
        "backend/app/__init__.py",
        "[tool.setuptools.package-data]",
        'and `include = ["backend", "backend.*"]`: wheels hold no testdb',
    ),
    "one file": ("app.py", "", 'add `[tool.setuptools]` and `py-modules = ["app"]`: wheels'),
    "what is told": ("app/__init__.py", '[tool.setuptools]\npackages = ["app"]', None),
}


@pytest.mark.parametrize("wheel", WHEELS)
def test_wheels_hold_all_of_a_service_and_no_testdb(tmp_path: Path, wheel: str) -> None:
    package, told, expected = WHEELS[wheel]
    backend = '[build-system]\nbuild-backend = "setuptools.build_meta"\n'
    path = write({package: "", "pyproject.toml": backend + told}, tmp_path / "shop")
    name = package.removesuffix("/__init__.py").removesuffix(".py").replace("/", ".")
    done = adopt(path, "--package", name)
    if expected:
        done.expect(expected)
    else:
        done.expect_none_of("wheels hold no testdb")


CONFTEST: Final = """
import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker
OPTIONS = {}
Maker = sessionmaker(**OPTIONS)

@pytest.fixture(scope="session")
def engine():
    return create_engine("postgresql+psycopg://shared/test")

@pytest.fixture
def connection(engine):
    yield engine.connect()

@pytest.fixture
def db(connection):
    yield Maker(bind=connection)

@pytest.fixture
def client(db): ...

@pytest.fixture
def user(db):
    return OPTIONS
"""


def test_fixtures_and_drivers_that_stand_in_the_way_are_named(tmp_path: Path) -> None:
    path = copied(SHOP, tmp_path)
    (path / "tests/conftest.py").write_text(CONFTEST)
    (path / "requirements.txt").write_text("psycopg2-binary\n")
    (path / "app/database.py").write_text('URL = "postgresql+asyncpg://localhost"\n')
    adopt(path).expect(
        "asyncpg in app/database.py:1, psycopg2 in requirements.txt:1: the driver has to be",
        "fixtures engine, connection, db, client of tests/conftest.py and the engine that "
        "tests/conftest.py:10 makes. Delete these",
        "Where tests themselves ask for engine, connection, db, have them ask for `session`",
    )


def test_a_database_in_a_file_is_named_unless_it_is_a_default(tmp_path: Path) -> None:
    files = {
        "app/__init__.py": """
import os
URL = os.environ.get("DATABASE_URL", "sqlite:///default.db")
URL = config("DATABASE_URL", default="sqlite:///default.db")
class S(BaseSettings):
    database_url: str = "sqlite:///default.db"  # or "postgresql://"
# url = "sqlite:///default.db"
""",
        "app/e2e/conftest.py": 'engine = create_engine("sqlite://")\n',
        "app/tests/helpers.py": 'engine = create_engine("sqlite://")\n',
        "app/zzz/models.py": 'name = "own.db"\nurl = f"sqlite:///{name}"\n',
    }
    adopt(write(files, tmp_path / "shop")).expect(
        "SQLite in app/zzz/models.py:2 is written into the code",
        "Have the service take its URL from DATABASE_URL",
    )


PARTS: Final = {
    "app/__init__.py": """
import os
from fastapi import FastAPI
from sqlalchemy import URL, create_engine, text

user, password = os.environ["POSTGRES_USER"], os.environ["POSTGRES_PASSWORD"]
host, port = os.getenv("POSTGRES_SERVER"), int(os.getenv("POSTGRES_PORT", "5432"))
name = os.environ["POSTGRES_DB"]  # postgresql://…/name
engine = create_engine(f"postgresql+psycopg://{user}:{password}@{host}:{port}/{name}")
other = create_engine(URL.create("postgresql+psycopg", user, password, host, port, name))
app = FastAPI()

@app.get("/")
def read():
    with engine.connect() as one, other.connect() as two:
        return [c.scalar(text("SELECT current_database()")) for c in (one, two)]
""",
    "alembic.ini": "[alembic]\nscript_location = %(here)s/alembic\n",
    "alembic/env.py": """
from alembic import context
from sqlalchemy import MetaData
from app import engine

with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=MetaData())
    with context.begin_transaction():
        context.run_migrations()
""",
    "alembic/versions/1_first.py": """
from alembic import op
revision = "1"
down_revision = None
def upgrade(): op.execute("CREATE SEQUENCE numbers")
def downgrade(): op.execute("DROP SEQUENCE numbers")
""",
    "tests/test_parts.py": """
import app

def test_here(client, databases):
    assert client.get("/").json() == [databases.urls["main"].database] * 2

def test_in_a_process_of_its_own(http, service_databases):
    assert http.get("/").json() == [service_databases.databases.urls["main"].database] * 2
""",
}


def test_a_url_in_parts_leads_to_the_database_of_the_test(
    tmp_path: Path, environment: Environment, homes: Path
) -> None:
    path = write(PARTS, tmp_path / "parts")
    names = "POSTGRES_SERVER, POSTGRES_PORT, POSTGRES_DB, POSTGRES_USER, POSTGRES_PASSWORD"
    adopt(path).expect(
        f"database is made of; found were {names}",
        "postgresql:// in app/__init__.py:8: the driver has to be psycopg 3",
    )
    project = Project(path, environment, {"TESTDB_HOME": str(embedded.new_home(homes))})
    project.run("pytest", "-n", "0").expect("2 passed", "template main migrated in")
    # Now the first to import the engines is the test, while the settings name no database.
    project.run("pytest", "-n", "0").expect("2 passed", "no migration ran")


@pytest.mark.parametrize("source", [".", "src", "backend"])
def test_a_package_that_is_not_installed_is_found_in_its_folder(
    tmp_path: Path, environment: Environment, source: str
) -> None:
    path = write({f"{source}/shop/__init__.py": ""}, tmp_path / "shop")
    adopt(path, "--package", "backend.shop" if source == "backend" else "shop")
    bare = Project(path, environment, {"PYTHONPATH": ""})
    bare.run("invoke", "examples.list").expect("health")
    bare.run("python", "-c", "import testdb.adapter, shop")
    bare.write("examples/run_all.py", "import shop; print('imported shop')\n")
    bare.run("invoke", "examples.run").expect("imported shop")


@pytest.mark.long
def test_a_package_in_src_of_one_of_several_projects(
    tmp_path: Path, environment: Environment, homes: Path
) -> None:
    files = {name.replace("app/", "src/app/"): text for name, text in PARTS.items()}
    settings = {"pytest.ini": "[pytest]\naddopts = -p testdb.fixtures\npythonpath = backend\n"}
    repository = {f"backend/{name}": text for name, text in files.items()} | settings
    path = write(repository, tmp_path / "repository") / "backend"
    adopt(path).expect_none_of("settings of pytest", "`pythonpath`")
    bare = {"TESTDB_HOME": str(embedded.new_home(homes)), "PYTHONPATH": ""}
    project = Project(path, environment, bare)
    project.run("pytest", "-n", "2").expect("2 passed", "template main migrated in")
    project.run("invoke", "db.create").expect("Kept for")
    project.run("invoke", "examples.run").find("health .*passed")


STATE: Final = PARTS | {
    "app/__init__.py": """
import os
from contextlib import asynccontextmanager
from fastapi import FastAPI, Request
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

URL = os.environ["DATABASE_URL"]
engine = create_engine(URL)
async_engine = create_async_engine(URL)

@asynccontextmanager
async def lifespan(app):
    yield {"engine": async_engine}

app = FastAPI(lifespan=lifespan)

@app.get("/")
async def read(request: Request):
    async with request.state.engine.connect() as connection:
        return await connection.scalar(text("SELECT current_database()"))
""",
    "tests/test_parts.py": """
import pytest

@pytest.mark.asyncio
async def test_state(client, databases):
    assert (await client.get("/")).json() == databases.urls["main"].database
""",
}


@pytest.mark.long
def test_what_a_lifespan_yields_is_the_state_of_requests(
    tmp_path: Path, environment: Environment, homes: Path
) -> None:
    adopt(write(STATE, tmp_path / "shop"))
    home = {"TESTDB_HOME": str(embedded.new_home(homes))}
    project = Project(tmp_path / "shop", environment, home)
    project.run("pytest", "-n", "0").expect("1 passed")


IN_A_FILE: Final = PARTS | {
    "app/__init__.py": """
from fastapi import FastAPI
from sqlalchemy import create_engine
engine = create_engine("sqlite:///own.db")
app = FastAPI()
""",
    "tests/test_sqlite.py": """
import pytest
from app import engine
from sqlalchemy import create_engine, text

@pytest.fixture
def own(tmp_path):
    with create_engine(f"sqlite:///{tmp_path}/own.db").connect() as connection:
        yield connection

def test_own(own, databases):
    own.execute(text("CREATE TABLE cups (id int)"))

def test_session(session):
    session.execute(text("CREATE TABLE cups (id int)"))
""",
}
del IN_A_FILE["tests/test_parts.py"]


@pytest.mark.long
def test_no_test_commits_to_a_database_in_a_file(
    tmp_path: Path, environment: Environment, homes: Path
) -> None:
    adopt(write(IN_A_FILE, tmp_path / "shop")).expect("SQLite in app/__init__.py:4")
    home = {"TESTDB_HOME": str(embedded.new_home(homes))}
    project = Project(tmp_path / "shop", environment, home)
    refused = project.run("pytest", "-n", "0", code=pytest.ExitCode.USAGE_ERROR)
    refused.expect("env.py connects to sqlite, and would migrate a real database")
    assert not (project / "own.db").exists()
    project.replace(
        "alembic/env.py",
        "from app import engine",
        'import os, sqlalchemy\nengine = sqlalchemy.create_engine(os.environ["DATABASE_URL"])',
    )
    done = project.run("pytest", "-n", "0", code=pytest.ExitCode.TESTS_FAILED)
    done.expect("1 passed, 1 error", "The service's session is on sqlite, not on PostgreSQL")
    done.expect_none_of("Traceback", "INTERNALERROR")
    assert not (project / "own.db").exists()


DSN: Final = PARTS | {
    "app/__init__.py": """
from fastapi import FastAPI
from pydantic import PostgresDsn
from pydantic_settings import BaseSettings
from sqlalchemy import create_engine, text

class Settings(BaseSettings):
    database_url: PostgresDsn

engine = create_engine(str(Settings().database_url))
app = FastAPI()

@app.get("/")
def read():
    with engine.connect() as connection:
        return [connection.scalar(text("SELECT current_database()"))] * 2
""",
}


@pytest.mark.long
def test_a_url_that_pydantic_checks(tmp_path: Path, environment: Environment, homes: Path) -> None:
    adopt(write(DSN, tmp_path / "dsn")).expect_none_of("URL_VARIABLE")
    home = {"TESTDB_HOME": str(embedded.new_home(homes))}
    project = Project(tmp_path / "dsn", environment, home)
    project.run("pytest", "-n", "0").expect("2 passed")
    project.run("invoke", "db.create")
    project.run("invoke", "db.sweep", "--kept")


ELSEWHERE: Final = PARTS | {
    "alembic.ini": """
[alembic]
script_location = %(here)s/alembic
version_locations = %(here)s/revisions
recursive_version_locations = true
""",
    "revisions/2025/1_first.py": PARTS["alembic/versions/1_first.py"],
    "revisions/2_second.py": """
from alembic import op
revision = "2"
down_revision = "1"
def upgrade(): op.execute("CREATE SEQUENCE letters")
def downgrade(): op.execute("DROP SEQUENCE letters")
""",
}
del ELSEWHERE["alembic/versions/1_first.py"]
IN_TOML: Final = {
    "pyproject.toml": """
[tool.alembic]
script_location = "%(here)s/alembic"
version_locations = ["%(here)s/revisions"]
recursive_version_locations = true
"""
}


@pytest.mark.long
@pytest.mark.parametrize(
    "settings",
    [{}, {"alembic.ini": "[alembic]\n", **IN_TOML}, {"alembic.ini": None, **IN_TOML}],
    ids=["alembic.ini", "both", "pyproject.toml"],
)
def test_migrations_lie_where_the_settings_of_alembic_say(
    tmp_path: Path, environment: Environment, homes: Path, settings: dict[str, str | None]
) -> None:
    files = {name: text for name, text in (ELSEWHERE | settings).items() if text is not None}
    adopt(write(files, tmp_path / "elsewhere")).expect_none_of("VERSIONS", "MIGRATIONS")
    home = {"TESTDB_HOME": str(embedded.new_home(homes))}
    project = Project(tmp_path / "elsewhere", environment, home)
    if not settings:
        strict = ("pytest", "-n", "0", "-W", "error:No path_separator:DeprecationWarning")
        refused = project.run(*strict, code=pytest.ExitCode.USAGE_ERROR)
        refused.expect("No path_separator found", "pytest's `filterwarnings` makes it an error")
    project.run("pytest", "-n", "0").expect("2 passed", "template main migrated in")
    project.replace("revisions/2_second.py", "CREATE SEQUENCE", "CREATE SEQUENCES")
    project.run("pytest", "-n", "0", code=pytest.ExitCode.USAGE_ERROR).expect(
        "Migrating the logical database main fails in revisions/2_second.py:5, upgrade",
        "Correct the migration.",
    )


def test_several_folders_of_migrations_are_named(tmp_path: Path) -> None:
    path = write(ELSEWHERE, tmp_path / "elsewhere")
    ini = path / "alembic.ini"
    ini.write_text(ini.read_text().replace("/revisions", "/revisions %(here)s/more"))
    adopt(path).expect(
        "see VERSIONS: alembic.ini lists 2 folders of migrations",
        "In alembic.ini, add `path_separator = os`",
    )


def test_options_of_pytest_are_added_to(tmp_path: Path) -> None:
    path = copied(SHOP, tmp_path)
    with (path / "pyproject.toml").open("a") as pyproject:
        pyproject.write('addopts = "-q"\n')  # the settings of pytest come last
    done = adopt(path).expect("To `addopts` in pyproject.toml, add `-p testdb.fixtures`")
    done.expect_none_of("add `addopts", "`pythonpath")


def test_a_pythonpath_without_the_root_is_added_to(tmp_path: Path) -> None:
    path = copied(NOTES, tmp_path)
    settings = path / "pyproject.toml"
    own = settings.read_text()
    settings.write_text(own + '[tool.pytest.ini_options]\npythonpath = [\n    "src",\n]\n')
    adopt(path).expect("To `pythonpath` in pyproject.toml, add `.`")
    settings.write_text(own + '[tool.pytest.ini_options]\npythonpath = "src ."\n')
    adopt(path).expect_none_of("`pythonpath")
    settings.write_text(own + "[tool.pytest.ini_options]\n")
    adopt(path).expect('pytest in pyproject.toml, add `pythonpath = [".", "src"]`')


def test_settings_of_pytest_above_the_project_stay_in_force(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").touch()  # is not in the repository
    repository = write({"backend/app/__init__.py": ""}, tmp_path / "repository")
    adopt(repository / "backend")
    written = repository / "backend/pytest.ini"
    assert written.read_text() == "[pytest]\npythonpath = .\naddopts = -p testdb.fixtures\n"
    written.unlink()
    (repository / "tox.ini").write_text("[pytest]\naddopts = -q\n")
    adopt(repository / "backend").expect(
        "To `addopts` in ../tox.ini, add `-p testdb.fixtures`",
        "To the settings of pytest in ../tox.ini, add `pythonpath = backend`",
    )
    assert not written.exists()


def test_what_is_not_found_is_to_be_filled_in_until_it_is(tmp_path: Path) -> None:
    path = copied(SHOP, tmp_path)
    (path / "app/database.py").write_text("")
    adopt(path).expect("In testdb/adapter.py, say in `session` where")
    adopt(path).expect("In testdb/adapter.py, fill in what raises NotImplementedError")
    assert "import engine\n" not in (path / "testdb/adapter.py").read_text()


@pytest.mark.parametrize("package", [".", "..", "/etc", "order-desk", "nowhere"])
def test_a_package_that_is_none_is_refused_in_one_line(tmp_path: Path, package: str) -> None:
    path = write({"app/main.py": "", "order-desk/main.py": ""}, tmp_path / "project")
    done = adopt(path, "--package", package, code=1).expect("ERROR: ", "Nothing was written.")
    assert len(done.output.splitlines()) == 1
