"""Settings of the service: the only place that reads the environment, and not at import."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

ENV_PREFIX: Final = "<< cookiecutter.package_name | upper >>_"
"""Every setting is read from a variable with this prefix: `<prefix>DATABASE_URLS__MAIN`."""


class SettingsError(ValueError):
    """The settings cannot be used.

    The message names variables, and shows no value: it may hold a password.
    """


@contextmanager
def error_as_exit() -> Iterator[None]:
    """End the program with the message of a SettingsError alone: for where a program starts."""
    try:
        yield
    except SettingsError as error:
        raise SystemExit(str(error)) from None


class Settings(BaseSettings):
    """What differs between two deployments. Secrets are `SecretStr`: they print as asterisks."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", frozen=True, hide_input_in_errors=True
    )

    database_urls: dict[str, SecretStr] = {}
    """A SQLAlchemy URL for each logical database, by its name: see `check_urls`."""
    pool_size: PositiveInt = 5
    """Connections that each process keeps to each logical database."""
    max_overflow: NonNegativeInt = 10
    """Connections that it opens besides when all of those are in use."""
    pool_timeout_seconds: PositiveFloat = 30
    """How long a request waits for a connection when all of these are in use."""
    # Not `port`: Kubernetes sets <prefix>PORT, to a URL, for a Service that is named like this one.
    listen_host: str = "127.0.0.1"
    """The address to serve on; 0.0.0.0 is all of them."""
    listen_port: int = Field(8000, ge=0, le=65535)
    """The port to serve on."""
    log_format: Literal["text", "json"] = "text"
    """Lines for people, or an object on each line for programs."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    """What matters less is not logged. DEBUG shows what clients send: not for production."""
    development_mailbox: bool = False  # demo
    """Keep mail in memory, where anybody may read it. Never in production."""  # demo


def read_settings(**given: Any) -> Settings:  # noqa: ANN401  Settings checks each
    """Read from the environment the settings that are not given.

    Raises:
        SettingsError: a value cannot be used.
    """
    try:
        return Settings(**given)
    except ValidationError as error:
        wrong = [f"{variable(*found['loc'])}: {found['msg']}." for found in error.errors()]
        raise SettingsError(" ".join(wrong)) from None
    except ValueError as error:  # a setting of many parts that is no JSON
        example = variable("database_urls", "main")
        msg = f"{error}: write JSON, or a variable for each part, as {example}."
        raise SettingsError(msg) from None


def workers() -> int:
    """Read how many processes serve. Other servers know this variable, so it has no prefix.

    Raises:
        SettingsError: that is no such number.
    """
    given = os.environ.get("WEB_CONCURRENCY", "1")
    if not given.isdecimal() or int(given) == 0:
        msg = "WEB_CONCURRENCY is the number of processes that serve: 1 or more."
        raise SettingsError(msg)
    return int(given)


def variable(*setting: str | int) -> str:
    """Name the variable that a setting, or a part of it, is read from."""
    return ENV_PREFIX + "__".join(map(str, setting)).upper()
