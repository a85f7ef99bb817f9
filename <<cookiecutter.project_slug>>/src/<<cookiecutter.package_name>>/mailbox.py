"""The development mailbox, which stands where a mail service would. It is off unless it is set on.

Mail stays in the memory of this process, where anybody may read it: for tests, examples and desks.
"""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final

from fastapi import APIRouter, Depends, FastAPI, HTTPException, status
from pydantic import BaseModel
from starlette.requests import HTTPConnection

from <<cookiecutter.package_name>>.settings import ENV_PREFIX

MOST_MESSAGES: Final = 1000
"""How many messages are kept; older ones go."""


class Message(BaseModel):
    """What somebody is told by e-mail."""

    to: str
    subject: str
    token: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Have an empty mailbox for as long as the application lives."""
    app.state.mailbox = deque[Message](maxlen=MOST_MESSAGES)
    yield


def open_mailbox(connection: HTTPConnection) -> deque[Message]:
    """Get the mailbox; 503 if it is off, as there is no other way to send mail."""
    if not connection.app.state.settings.development_mailbox:
        raise HTTPException(
            status.HTTP_503_SERVICE_UNAVAILABLE,
            "This service cannot send mail. Connect a mail service in mailbox.py, or set "
            f"{ENV_PREFIX}DEVELOPMENT_MAILBOX=true where anybody may read all mail.",
        )
    mailbox: deque[Message] = connection.app.state.mailbox
    return mailbox


Mailbox = Annotated[deque[Message], Depends(open_mailbox)]
router = APIRouter(prefix="/mailbox", tags=["mailbox"], lifespan=lifespan)


@router.get("")
async def read_mail(to: str, mailbox: Mailbox) -> list[Message]:
    """Read the mail to an address, newest first."""
    return [message for message in reversed(mailbox) if message.to == to]
