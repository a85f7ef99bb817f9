"""The service says which of its databases it reaches."""

from testdb.adapter import LOGICAL
from testdb.processes.examples import service_client


def main() -> None:
    """Ask the service how it is."""
    with service_client(__file__) as client:
        health = client.get("/health").raise_for_status().json()
        print(f"health: {health}")
        assert health == dict.fromkeys(LOGICAL, "ok")


if __name__ == "__main__":
    main()
