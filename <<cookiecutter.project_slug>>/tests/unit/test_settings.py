"""Where settings come from, that mistakes in them are told in one line, and secrets kept."""

import os
import subprocess
import sys

import pytest
from pydantic import SecretStr

from <<cookiecutter.package_name>>.app import create_app
from <<cookiecutter.package_name>>.databases import LOGICAL_DATABASES, check_urls
from <<cookiecutter.package_name>>.settings import ENV_PREFIX, Settings, SettingsError

from testdb.adapter import environment

URL = "postgresql+psycopg://ada:secret@db/main"
PROGRAM = "<<cookiecutter.package_name>>"
VARIABLES = {name: f"{ENV_PREFIX}DATABASE_URLS__{name.upper()}" for name in LOGICAL_DATABASES}


@pytest.fixture(autouse=True)
def _no_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with all settings but the URLs of databases."""
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        monkeypatch.delenv(name)
    for name, value in environment({}).items():
        monkeypatch.setenv(name, value)


def test_database_urls_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLES["main"], URL)
    settings = Settings()
    assert settings.database_urls["main"].get_secret_value() == URL
    assert "secret" not in repr(settings)


@pytest.mark.parametrize("program", [PROGRAM, f"{PROGRAM}.migrations"])
def test_a_program_without_settings_says_in_one_line_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "2")  # not a line for each worker, again and again
    command = [sys.executable, "-m", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert all(variable in line for variable in VARIABLES.values())


def test_a_database_that_the_service_does_not_know_is_named() -> None:
    urls = dict.fromkeys([*LOGICAL_DATABASES, "mian"], SecretStr(URL))
    with pytest.raises(SettingsError, match=f"^{ENV_PREFIX}DATABASE_URLS__MIAN names no "):
        check_urls(Settings(database_urls=urls))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "secret",
        "postgresql+psycopg://ada:pass@db:secret/main",
        "postgresql+psycopg://ada:pass@secret@db/main",
        "postgresql+psycopg://ada:pass@secret/1@db/main",
        "postgres://ada:secret@db/main",
        "postgresql+asyncpg://ada:secret@db/main",
        "postgresql+psycopg_async://ada:secret@db/main",
        "sqlite:///secret",
    ],
)
def test_a_url_that_cannot_be_used_is_not_shown(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for variable in VARIABLES.values():
        monkeypatch.setenv(variable, url)
    with pytest.raises(SystemExit, match=f"^{VARIABLES['main']} is no SQLAlchemy URL ") as told:
        create_app()
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("POOL_SIZE", "secret"), ("LOG_FORMAT", "secret"), ("DATABASE_URLS", URL)],
)
def test_a_wrong_value_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}{setting}", value)
    with pytest.raises(SystemExit, match=f"{ENV_PREFIX}{setting}") as told:
        create_app()
    assert "secret" not in str(told.value)
