"""Live ticks: publish a price, and follow the prices of a symbol over a websocket.

A tick reaches who follows through this process. Several processes need a broker between them:
PostgreSQL's LISTEN and NOTIFY, for instance.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from fastapi import APIRouter, FastAPI, Request, WebSocket, WebSocketDisconnect, status
from pydantic import AwareDatetime, BaseModel

from <<cookiecutter.package_name>>.candles import Price, Symbol

LONGEST_QUEUE: Final = 100
"""How many ticks wait for a slow follower; then it loses the oldest."""


class Tick(BaseModel):
    """The price of a symbol at a moment."""

    symbol: Symbol
    price: Price
    at: AwareDatetime


class Ticker:
    """Who follows which symbol, in this process."""

    def __init__(self) -> None:
        self._queues: defaultdict[str, set[asyncio.Queue[Tick]]] = defaultdict(set)

    def publish(self, tick: Tick) -> int:
        """Hand a tick to everybody who follows its symbol; tells how many they are."""
        queues = self._queues.get(tick.symbol, set())
        for queue in queues:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(tick)
        return len(queues)

    @contextmanager
    def following(self, symbol: str) -> Iterator[asyncio.Queue[Tick]]:
        """Get the ticks of a symbol in a queue, from now until the context ends."""
        queue = asyncio.Queue[Tick](LONGEST_QUEUE)
        self._queues[symbol].add(queue)
        try:
            yield queue
        finally:
            self._queues[symbol].remove(queue)
            if not self._queues[symbol]:
                del self._queues[symbol]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Have a ticker for as long as the application lives."""
    app.state.ticker = Ticker()
    yield


router = APIRouter(prefix="/ticks", tags=["ticks"], lifespan=lifespan)


@router.post("", status_code=status.HTTP_202_ACCEPTED)
async def publish_tick(tick: Tick, request: Request) -> dict[str, int]:
    """Publish a tick; tells how many follow its symbol."""
    ticker: Ticker = request.app.state.ticker
    return {"followers": ticker.publish(tick)}


@router.websocket("/{symbol}")
async def follow_ticks(websocket: WebSocket, symbol: Symbol) -> None:
    """Send the ticks of a symbol, from the moment the connection is accepted until it is closed."""
    ticker: Ticker = websocket.app.state.ticker
    with ticker.following(symbol) as queue:
        await websocket.accept()
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(_send(queue, websocket))
            async for _ in websocket.iter_text():  # ends when the client or the service leaves
                pass
            sending.cancel()


async def _send(queue: asyncio.Queue[Tick], websocket: WebSocket) -> None:
    try:
        while True:
            tick = await queue.get()
            await websocket.send_text(tick.model_dump_json())
    except WebSocketDisconnect:
        return  # the receiving side hears of it too
