"""The image and the compose file: linted, and done as far as it goes without Docker."""

import json
import os
import re
import shutil
import signal
import socket
import sys
import tomllib
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.request import urlopen

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from faults.users import running_as
from harness import container
from harness.environment import clean_variables
from harness.external import HOST, PASSWORD, ROLE, ExternalServer, spellings_of_the_password
from harness.outcome import finish, run, start, wait_for
from harness.parameters import LOGICAL, one_and_two
from harness.project import Bake, NewProject

PORT: Final = "8000"
"""What the service in the image listens on."""
YAML_FILES: Final = ("compose.yaml", ".pre-commit-config.yaml")
YAML_RULES: Final = (
    "{extends: default, rules: {document-start: disable, line-length: {max: 120},"
    " comments: {min-spaces-from-content: 1}, truthy: {check-keys: false}}}"
)
PASSWORD_IN_A_URL: Final = re.compile(r"://[^/@\s]*:[^/@\s]*@")
SECRET: Final = re.compile(r"PASSWORD|SECRET|TOKEN")


def read_compose(project: Path) -> dict[str, Any]:
    """Read the compose file."""
    return yaml.safe_load((project / "compose.yaml").read_text())


@one_and_two
@pytest.mark.parametrize(
    "command",
    [
        ("hadolint", "Dockerfile"),
        ("yamllint", "--strict", "--config-data", YAML_RULES, *YAML_FILES),
        ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"),
    ],
    ids=lambda command: command[0],
)
def test_the_linter_has_nothing_to_say(
    bake: Bake, databases: str, command: tuple[str, ...]
) -> None:
    program, *arguments = command
    tool = str(Path(sys.executable).parent / program)
    run(tool, *arguments, cwd=bake(databases=databases), env=clean_variables())


def test_the_image_is_made_in_two_stages_of_one_slim_python(bake: Bake) -> None:
    project = bake()
    instructions = container.read_dockerfile(project)
    builder, image = (value.partition(" ")[0] for name, value in instructions if name == "FROM")
    assert builder == image
    assert (version := re.fullmatch(r"python:(3\.\d+)-slim", image))
    metadata = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    assert version[1] in SpecifierSet(metadata["requires-python"])
    last = dict(instructions[instructions.index(("FROM", image)) :])
    assert all(int(number) > 0 for number in last["USER"].split(":"))
    assert f"{PORT}, " in last["HEALTHCHECK"]
    assert "/health/live" in last["HEALTHCHECK"]
    assert last["EXPOSE"] == PORT


def test_what_the_image_copies_is_there_and_nothing_else_is_sent(new_project: NewProject) -> None:
    project = new_project().path
    for path in (".env", "src/my_service/__pycache__/app.pyc", ".git/config", ".venv/bin/python"):
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).touch()
    copied = {
        source
        for name, value in container.read_dockerfile(project)
        if name == "COPY" and not value.startswith("--from=")
        for source in value.split()[:-1]
    }
    assert all((project / source).exists() for source in copied)
    sent = {p for p in project.rglob("*") if p.is_file() and container.is_sent(project, p)}
    assert {path.relative_to(project).parts[0] for path in sent} == copied
    assert not [path for path in sent if "__pycache__" in path.parts]


@one_and_two
def test_no_secret_is_written_down(bake: Bake, databases: str) -> None:
    project = bake(databases=databases)
    example = (project / ".env.example").read_text()
    texts = [(project / name).read_text() for name in ("Dockerfile", "compose.yaml")]
    for text in texts:
        assert not PASSWORD_IN_A_URL.search(text)
        for name, value in re.findall(r"(\w+)[:=] ?(\S+)", text):
            assert not SECRET.search(name) or value.startswith("${")
    asked = set(re.findall(r"\$\{(\w+)", texts[1]))
    assert asked == {"POSTGRES_PASSWORD"}
    assert all(f"{name}=" in example for name in asked)


@one_and_two
def test_the_service_starts_on_databases_that_are_there_and_migrated(
    bake: Bake, databases: str
) -> None:
    compose = read_compose(bake(databases=databases))
    services = compose["services"]
    needs = {
        (name, other): condition["condition"]
        for name, service in services.items()
        for other, condition in service.get("depends_on", {}).items()
    }
    assert needs == {
        ("service", "migrate"): "service_completed_successfully",
        ("migrate", "database"): "service_healthy",
    }
    assert services["service"]["environment"] == services["migrate"]["environment"]
    assert services["migrate"]["command"] == ["python", "-m", "my_service.migrations"]
    made = {services["database"]["environment"]["POSTGRES_DB"]}
    for config in compose.get("configs", {}).values():
        made.add(config["content"].removeprefix("CREATE DATABASE "))
    urls = services["service"]["environment"].values()
    used = {url.rpartition("/")[2] for url in urls if "://" in url}
    assert made == used == LOGICAL[databases]
    (port,) = services["service"]["ports"]
    assert port.endswith(f":{PORT}")


def free_port() -> str:
    """Find a port that nobody listens on."""
    with socket.create_server((HOST, 0)) as listening:
        return str(listening.getsockname()[1])


def settings(compose: dict[str, Any], server: ExternalServer) -> dict[str, str]:
    """Read what the compose file sets for the service, with this server in place of its own."""
    environment = compose["services"]["service"]["environment"]
    return {
        name: re.sub(r"\$\{POSTGRES_PASSWORD\b[^}]*\}", PASSWORD, value).replace(
            "postgres@database", f"{ROLE}@{HOST}:{server.port}"
        )
        for name, value in environment.items()
    }


@pytest.mark.long
@one_and_two
def test_the_image_is_built_migrates_serves_and_is_healthy(
    new_project: NewProject, external_server: ExternalServer, databases: str, homes: Path
) -> None:
    project, port = new_project(databases=databases).path, free_port()
    compose = read_compose(project)
    with (
        external_server.database("main"),
        external_server.database("timeseries"),
        TemporaryDirectory(dir=homes) as place,
    ):
        Path(place).chmod(0o755)
        image = container.build(project, Path(place))
        shutil.rmtree(project)  # the image needs nothing of it
        assert not list(image.root.rglob("testdb")) + list(image.root.rglob("pytest"))
        as_user = running_as(int(image.user.partition(":")[0])) if os.geteuid() == 0 else ()
        cwd, env = image.inside("."), image.environment | settings(compose, external_server)
        env["MY_SERVICE_LISTEN_PORT"] = port
        is_healthy = (*as_user, *(part.replace(PORT, port) for part in image.health_command))
        run(*is_healthy, cwd=cwd, env=env, code=1).expect("ConnectionRefusedError")
        migrated = run(*as_user, *compose["services"]["migrate"]["command"], cwd=cwd, env=env)
        migrated.expect("Running upgrade ")
        service = start(*as_user, *image.command, cwd=cwd, env=env)
        answers = partial(run, *is_healthy, cwd=cwd, env=env, code=None)
        wait_for(service, lambda: answers().code == 0, "to be healthy", cwd=cwd)
        with urlopen(f"http://{HOST}:{port}/users") as answer:
            assert json.load(answer) == []
        service.terminate()
        ended = finish(service, cwd=cwd, code=-signal.SIGTERM)
        assert '"level": "INFO"' in ended.output
        ended.expect_none_of(*spellings_of_the_password())
