"""Live prices come over a websocket, from the moment that the connection is open."""

import json
from datetime import UTC, datetime

from websockets.sync.client import connect

from testdb.processes.examples import service_client


def main() -> None:
    """Follow two symbols, publish ticks of three, and see each follower get its own."""
    with service_client(__file__) as client:
        address = str(client.base_url.copy_with(scheme="ws"))
        with (
            connect(f"{address}/ticks/BTCUSD", proxy=None) as bitcoin,
            connect(f"{address}/ticks/ETHUSD", proxy=None) as ether,
        ):
            for symbol, price in (("BTCUSD", "100"), ("ETHUSD", "7"), ("XAUUSD", "5")):
                tick = {"symbol": symbol, "price": price, "at": datetime.now(UTC).isoformat()}
                published = client.post("/ticks", json=tick).raise_for_status().json()
                print(f"published: {symbol} at {price}, followers: {published['followers']}")

            for follower, price in ((bitcoin, "100"), (ether, "7")):
                received = json.loads(follower.recv(timeout=10))
                print(f"received: {received['symbol']} at {received['price']}")
                assert received["price"] == price


if __name__ == "__main__":
    main()
