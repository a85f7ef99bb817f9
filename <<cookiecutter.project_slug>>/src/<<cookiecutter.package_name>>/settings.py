"""Settings of the service: the only place that reads the environment, and not at import."""

from typing import Final

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

ENV_PREFIX: Final = "<< cookiecutter.package_name | upper >>_"
"""Every setting is read from a variable with this prefix: `<prefix>DATABASE_URLS__MAIN`."""


class Settings(BaseSettings):
    """What differs between two deployments. Secrets are `SecretStr`: they print as asterisks."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", frozen=True, hide_input_in_errors=True
    )

    database_urls: dict[str, SecretStr]
    """A SQLAlchemy URL for each logical database, by its name."""
    development_mailbox: bool = False  # demo
    """Keep mail in memory, where anybody may read it. Never in production."""  # demo
