"""A long line to a server, made of a relay that holds back whatever passes."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

HOST: Final = "127.0.0.1"
ROUND_TRIP: Final = 0.02
"""How long the line makes a round trip, in seconds."""


@dataclass
class Line:
    """A relay on a port of its own, which counts the round trips of all connections."""

    behind: int
    port: int = 0
    trips: int = 0

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """Relay one connection until both sides have hung up."""
        server, to_server = await asyncio.open_connection(HOST, self.behind)
        later = asyncio.get_running_loop().call_later
        is_asked = False

        async def relay(
            source: asyncio.StreamReader, target: asyncio.StreamWriter, *, asks: bool
        ) -> None:
            nonlocal is_asked
            with suppress(ConnectionError):
                while passing := await source.read(65536):
                    self.trips += is_asked and not asks
                    is_asked = asks
                    later(ROUND_TRIP / 2, target.write, passing)
            later(ROUND_TRIP / 2, target.close)

        await asyncio.gather(
            relay(client, to_server, asks=True), relay(server, to_client, asks=False)
        )


@contextmanager
def long_line(behind: int) -> Iterator[Line]:
    """Relay to a port of this machine until the context ends."""
    line = Line(behind)
    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(asyncio.start_server(line.serve, HOST, 0))
    line.port = listening.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield line
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        listening.close()
        loop.close()
