"""Health: does the service run, and is every logical database within reach?"""

import asyncio
import logging
from typing import Final

from fastapi import APIRouter, Request, Response, status
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

PATIENCE_SECONDS: Final = 3.0
"""How long a database may take to answer."""
OK: Final = "ok"
OUT_OF_REACH: Final = "out of reach"

router = APIRouter(prefix="/health", tags=["health"])
logger = logging.getLogger(__name__)


@router.get("/live")
async def live() -> dict[str, str]:
    """Say that the service runs. It asks no database: no restart would bring one back."""
    return {"service": OK}


@router.get("")
async def health(request: Request, response: Response) -> dict[str, str]:
    """Say which logical databases answer; 503 unless all of them do."""
    asked = {
        name: asyncio.create_task(ask(name, sessions))
        for name, sessions in request.app.state.databases.sessions.items()
    }
    await asyncio.wait(asked.values(), timeout=PATIENCE_SECONDS)
    answers = {}
    for name, task in asked.items():
        if task.done():
            answers[name] = task.result()
        else:
            task.cancel()  # not waited for: the driver asks the silent server to cancel, too
            logger.warning("The database %s gave no answer in %g s", name, PATIENCE_SECONDS)
            answers[name] = OUT_OF_REACH
    if OUT_OF_REACH in answers.values():
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return answers


async def ask(name: str, sessions: async_sessionmaker[AsyncSession]) -> str:
    """Ask a logical database for an answer; the log says why there is none."""
    try:
        async with sessions() as session:
            await session.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        logger.warning("The database %s is out of reach: %s", name, error)
        return OUT_OF_REACH
    return OK
