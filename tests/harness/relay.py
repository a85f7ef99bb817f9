"""Relays before a server, on ports of their own. They may change what passes."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from harness.external import HOST


class Relaying(socketserver.BaseRequestHandler):
    """One connection through a relay that changes nothing."""

    server: "Relay"

    def handle(self) -> None:
        """Relay until either side hangs up."""
        with socket.create_connection((HOST, self.server.behind)) as behind, suppress(OSError):
            threading.Thread(target=self._relay_requests, args=(behind,), daemon=True).start()
            self.relay_answers(behind)

    def relay_answers(self, behind: socket.socket) -> None:
        """Relay what the server says."""
        while answer := behind.recv(65536):
            self.request.sendall(answer)

    def change(self, request: bytes) -> bytes:
        """Change what the server is told."""
        return request

    def _relay_requests(self, behind: socket.socket) -> None:
        with suppress(OSError):
            while request := self.request.recv(65536):
                behind.sendall(self.change(request))
            behind.shutdown(socket.SHUT_RDWR)


class Relay(socketserver.ThreadingTCPServer):
    """Hands each connection to a handler, which finds the port that it leads to in `behind`."""

    daemon_threads = True

    def __init__(self, behind: int, handler: type[socketserver.BaseRequestHandler]) -> None:
        """Listen on a port of its own."""
        super().__init__((HOST, 0), handler)
        self.behind = behind

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server_address[1]


@contextmanager
def serving(relay: Relay) -> Iterator[int]:
    """Have a relay serve until the context ends; yields its port."""
    with relay:
        threading.Thread(target=relay.serve_forever, daemon=True).start()
        try:
            yield relay.port
        finally:
            relay.shutdown()
