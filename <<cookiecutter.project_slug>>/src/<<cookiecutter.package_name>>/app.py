"""The application, made by a function: importing this module opens nothing and reads nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from <<cookiecutter.package_name>> import (
    auth,  # demo
    candles,  # demo
    health,
    mailbox,  # demo
    ticks,  # demo
    users,
)
from <<cookiecutter.package_name>>.databases import Databases, check_urls
from <<cookiecutter.package_name>>.settings import Settings, error_as_exit, read_settings

FEATURES = (
    health,
    users,
    auth,  # demo
    candles,  # demo
    mailbox,  # demo
    ticks,  # demo
)
"""Each is a module with a router."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """Make the application. Without settings they are read from the environment, now.

    Engines are made and disposed by the lifespan, in the event loop that serves.

    Raises:
        SettingsError: the given settings cannot be used.
        SystemExit: those of the environment cannot: a program starts, such as uvicorn --factory.
    """
    if settings is None:
        with error_as_exit():
            return create_app(read_settings())
    check_urls(settings)  # mistakes are told now, not by a lifespan's trace

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.databases = Databases(settings)
        try:
            yield
        finally:
            await app.state.databases.dispose()

<# The quotes that need fewer escapes, as the formatter chooses them. #>
<% set name = cookiecutter.project_name | replace('\\', '\\\\') %>
<% set quote = "'" if name.count('"') > name.count("'") else '"' %>
    app = FastAPI(
        title=<< quote ~ name | replace(quote, '\\' ~ quote) ~ quote >>,
        lifespan=lifespan,
    )
    app.state.settings = settings
    for feature in FEATURES:
        app.include_router(feature.router)
    return app
