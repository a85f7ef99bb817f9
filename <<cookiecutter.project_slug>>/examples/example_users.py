"""Users are created once for an e-mail, listed and fetched."""

from http import HTTPStatus

from testdb.processes.examples import service_client


def main() -> None:
    """Create two users, try to create one of them again, and read them back."""
    with service_client(__file__) as client:
        for name in ("Ada", "Grace"):
            created = client.post("/users", json={"email": f"{name}@example.com", "name": name})
            print(f"created: {created.raise_for_status().json()}")

        again = client.post("/users", json={"email": "Ada@example.com", "name": "Another Ada"})
        print(f"created again: {again.status_code} {again.json()['detail']}")
        assert again.status_code == HTTPStatus.CONFLICT

        users = client.get("/users").raise_for_status().json()
        assert [user["name"] for user in users] == ["Ada", "Grace"]
        assert client.get(f"/users/{users[0]['id']}").json() == users[0]


if __name__ == "__main__":
    main()
