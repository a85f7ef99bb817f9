"""Where settings come from, and that they keep their secrets."""

import os

import pytest
from pydantic import ValidationError

from <<cookiecutter.package_name>>.databases import Databases
from <<cookiecutter.package_name>>.settings import ENV_PREFIX, Settings


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without the settings that testdb gives to programs that a test starts."""
    monkeypatch.setattr(os, "environ", {})


def test_database_urls_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}DATABASE_URLS__MAIN", "postgresql://ada:secret@db/main")
    settings = Settings()
    assert settings.database_urls["main"].get_secret_value() == "postgresql://ada:secret@db/main"
    assert "secret" not in repr(settings)


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(ValidationError, match="database_urls"):
        Settings()


def test_a_missing_logical_database_is_named() -> None:
    with pytest.raises(LookupError, match=f"{ENV_PREFIX}DATABASE_URLS__MAIN"):
        Databases(Settings(database_urls={}))
