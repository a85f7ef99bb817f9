"""Users: create, list, fetch."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, status
from psycopg.errors import UniqueViolation
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import DateTime, String, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from <<cookiecutter.package_name>>.databases import MainBase, MainSession

router = APIRouter(prefix="/users", tags=["users"])

# 254 characters is the longest address that mail can carry (RFC 3696, erratum 1690).
Email = Annotated[
    str, StringConstraints(max_length=254, pattern=r"^[^@\s\x00]+@[^@\s\x00]+$", to_lower=True)
]
# PostgreSQL stores no character 0, and no number above this one as an integer.
UserName = Annotated[str, Field(max_length=100, pattern=r"^[^\x00]+$")]
UserId = Annotated[int, Path(le=2**31 - 1)]


class User(MainBase):
    """A person who uses the service."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class NewUser(BaseModel):
    """What a client sends to create a user."""

    email: Email
    name: UserName


class UserOut(BaseModel):
    """What a client sees of a user."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    email: str
    name: str
    created_at: datetime


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_user(new: NewUser, session: MainSession) -> UserOut:
    """Create a user; 409 if the e-mail is taken."""
    user = User(email=new.email, name=new.name)
    session.add(user)
    try:
        await session.commit()
    except IntegrityError as error:
        if not isinstance(error.orig, UniqueViolation):
            raise
        raise HTTPException(status.HTTP_409_CONFLICT, "This e-mail is taken.") from error
    return UserOut.model_validate(user)


@router.get("")
async def list_users(
    session: MainSession, limit: Annotated[int, Field(ge=1, le=1000)] = 100
) -> list[UserOut]:
    """List users, oldest first."""
    users = await session.scalars(select(User).order_by(User.id).limit(limit))
    return [UserOut.model_validate(user) for user in users]


@router.get("/{user_id}")
async def fetch_user(user_id: UserId, session: MainSession) -> UserOut:
    """Fetch one user; 404 if there is none."""
    user = await session.get(User, user_id)
    if user is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "There is no such user.")
    return UserOut.model_validate(user)
