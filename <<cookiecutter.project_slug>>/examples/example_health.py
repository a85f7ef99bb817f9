"""The service says which of its databases it reaches."""

from testdb.link import LOGICAL
from testdb.service import fresh_service


def main() -> None:
    """Ask the service how it is."""
    with fresh_service(__file__) as client:
        health = client.get("/health").raise_for_status().json()
        print(f"health: {health}")
        assert health == dict.fromkeys(LOGICAL, "ok")


if __name__ == "__main__":
    main()
