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
from <<cookiecutter.package_name>>.databases import Databases
from <<cookiecutter.package_name>>.settings import Settings, read_settings

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
        SettingsError: the settings cannot be used.
    """
    configured = settings or read_settings()
    Databases(configured)  # connects to nothing: mistakes are told now, not by a lifespan's trace

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.databases = Databases(configured)
        try:
            yield
        finally:
            await app.state.databases.dispose()

    app = FastAPI(title=<< cookiecutter.project_name | tojson >>, lifespan=lifespan)
    app.state.settings = configured
    for feature in FEATURES:
        app.include_router(feature.router)
    return app
