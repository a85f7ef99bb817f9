"""Health: is every logical database within reach?"""

from fastapi import APIRouter, Request
from sqlalchemy import text

router = APIRouter(tags=["health"])


@router.get("/health")
async def health(request: Request) -> dict[str, str]:
    """Ask every logical database for an answer."""
    sessions_of = request.app.state.databases.sessions
    for sessions in sessions_of.values():
        async with sessions() as session:
            await session.execute(text("SELECT 1"))
    return dict.fromkeys(sessions_of, "ok")
