"""What the service's lifespan yields: requests of tests find it, as those of a server do."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Application = Callable[..., Awaitable[None]]
"""Of ASGI: it takes a scope, and what receives and sends."""


def with_state(app: Application, state: Mapping[str, Any]) -> Application:
    """Give requests a state: it is in `request.state`. This is a middleware of ASGI."""

    async def call(scope: dict[str, Any], receive: object, send: object) -> None:
        if scope["type"] != "lifespan":
            scope["state"] = {**state, **scope.get("state", {})}
        await app(scope, receive, send)

    return call
