"""A person registers, verifies the e-mail, logs in, resets the password and logs out: 18 steps.

Each step is an HTTP request of its own; the screen shows its number, what it does and the answer.
"""

from http import HTTPStatus
from itertools import count
from typing import Any

import httpx

from testdb.processes.examples import service_client

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery staple"  # noqa: S105  an example has nothing to hide
NEW_PASSWORD = "incorrect donkey battery staple"  # noqa: S105


class Journey:
    """Makes the steps, and tells of them."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.numbers = count(1)

    def step(
        self,
        what: str,
        expected: HTTPStatus,
        request: str,
        *,
        body: dict[str, str] | None = None,
        token: str | None = None,
    ) -> Any:  # noqa: ANN401  JSON
        """Send a request, compare the answer's status, and return what the answer holds."""
        method, path = request.split()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = self.client.request(method, path, json=body, headers=headers)
        print(f"{next(self.numbers):2}. {what}: {answer.status_code} {answer.reason_phrase}")
        assert answer.status_code == expected, answer.text
        return answer.json() if answer.content else None


def main() -> None:
    """Make the journey."""
    ok, done, refused = HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.UNAUTHORIZED
    mailbox, profile = f"GET /mailbox?to={EMAIL}", "GET /auth/profile"
    ada = {"email": EMAIL, "password": PASSWORD}
    with service_client(__file__) as client:
        step = Journey(client).step
        step("register", HTTPStatus.CREATED, "POST /auth/register", body=ada | {"name": "Ada"})
        step("log in too early", HTTPStatus.FORBIDDEN, "POST /auth/login", body=ada)
        (mail,) = step("read the mail", ok, mailbox)
        step("verify the e-mail", done, "POST /auth/verify", body={"token": mail["token"]})

        first = step("log in", ok, "POST /auth/login", body=ada)
        step("see the profile without a token", refused, profile)
        step("see the profile", ok, profile, token=first["access_token"])
        renewal = {"token": first["refresh_token"]}
        second = step("refresh the tokens", ok, "POST /auth/refresh", body=renewal)
        step("use a token from before", refused, profile, token=first["access_token"])
        change = {"name": "Ada Lovelace"}
        token = second["access_token"]
        step("change the name", ok, "PATCH /auth/profile", body=change, token=token)

        forgetful = {"email": EMAIL}
        step("ask for a reset", HTTPStatus.ACCEPTED, "POST /auth/request-reset", body=forgetful)
        mail, _ = step("read the mail", ok, mailbox)
        reset = {"token": mail["token"], "password": NEW_PASSWORD}
        step("reset the password", done, "POST /auth/reset", body=reset)
        step("use a revoked token", refused, profile, token=second["access_token"])
        renewal = {"token": second["refresh_token"]}
        step("refresh a revoked token", refused, "POST /auth/refresh", body=renewal)

        third = step("log in anew", ok, "POST /auth/login", body=ada | {"password": NEW_PASSWORD})
        token = third["access_token"]
        assert step("see the new name", ok, profile, token=token)["name"] == "Ada Lovelace"
        step("log out", done, "POST /auth/logout", token=token)


if __name__ == "__main__":
    main()
