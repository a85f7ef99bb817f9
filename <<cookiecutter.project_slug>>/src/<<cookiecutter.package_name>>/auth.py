"""Authentication: register, verify the e-mail, log in, refresh, reset the password, log out.

Passwords are stored as Argon2id hashes. Tokens are random, and only their SHA-256 is stored: who
reads the database can use neither. A login is one row that holds the hashes of its two tokens, so
that a statement on one row revokes them. The database's clock says what has expired.
"""

import asyncio
import hashlib
import secrets
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, NoReturn

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from fastapi import APIRouter, Depends, HTTPException, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from psycopg.errors import UniqueViolation
from pydantic import BaseModel, Field, SecretStr
from sqlalchemy import DateTime, ForeignKey, LargeBinary, String, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from <<cookiecutter.package_name>>.databases import MainBase, MainSession
from <<cookiecutter.package_name>>.mailbox import Mailbox, Message
from <<cookiecutter.package_name>>.users import Email, NewUser, User, UserName, UserOut

MAIL_TOKEN_LIFE: Final = timedelta(hours=1)
ACCESS_TOKEN_LIFE: Final = timedelta(minutes=15)
REFRESH_TOKEN_LIFE: Final = timedelta(days=30)

router = APIRouter(prefix="/auth", tags=["auth"])
bearer = HTTPBearer(auto_error=False)
hasher = PasswordHasher()

Password = Annotated[SecretStr, Field(min_length=12, max_length=128)]


class Purpose(StrEnum):
    """What a token that was mailed is good for."""

    VERIFY = "verify"
    RESET = "reset"


class Credential(MainBase):
    """How a user proves who they are."""

    __tablename__ = "credentials"

    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), primary_key=True)
    password_hash: Mapped[str] = mapped_column(String(200))
    verified_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class MailToken(MainBase):
    """A token that was sent to a user's e-mail. Whoever uses it up deletes it."""

    __tablename__ = "mail_tokens"

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    purpose: Mapped[str] = mapped_column(String(10))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Login(MainBase):
    """A login of a user on one device, from logging in to logging out."""

    __tablename__ = "logins"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    access_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    access_expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    refresh_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    refresh_expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Registration(NewUser):
    """What a client sends to register."""

    password: Password


class Proof(BaseModel):
    """What a client sends to log in."""

    email: Email
    password: SecretStr


class Token(BaseModel):
    """A token from a mail, or a refresh token."""

    token: SecretStr


class NewPassword(Token):
    """What a client sends to reset a password."""

    password: Password


class ResetRequest(BaseModel):
    """Whose password is to be reset."""

    email: Email


class Profile(BaseModel):
    """What users may change of themselves."""

    name: UserName


class Tokens(BaseModel):
    """What a client gets when it logs in, and anew when it refreshes."""

    access_token: str = Field(default_factory=secrets.token_urlsafe)
    refresh_token: str = Field(default_factory=secrets.token_urlsafe)
    token_type: str = "bearer"  # noqa: S105  a kind of token, not one
    expires_in: int = int(ACCESS_TOKEN_LIFE.total_seconds())

    def columns(self) -> dict[str, object]:
        """Say what a login stores of them."""
        return {
            "access_hash": digest(self.access_token),
            "access_expires_at": func.now() + ACCESS_TOKEN_LIFE,
            "refresh_hash": digest(self.refresh_token),
            "refresh_expires_at": func.now() + REFRESH_TOKEN_LIFE,
        }


def digest(token: str) -> bytes:
    """Make of a token what is stored. It has 256 random bits, so that no slow hash is needed."""
    return hashlib.sha256(token.encode()).digest()


async def current_login(
    session: MainSession, sent: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> Login:
    """Find the login that an access token belongs to; 401 if there is none."""
    access_hash = digest(sent.credentials if sent else "")
    login = await session.scalar(
        select(Login).where(Login.access_hash == access_hash, Login.access_expires_at > func.now())
    )
    if login is None:
        refuse("Log in first: this needs a valid access token.")
    return login


CurrentLogin = Annotated[Login, Depends(current_login)]


@router.post("/register", status_code=status.HTTP_201_CREATED)
async def register(new: Registration, session: MainSession, mailbox: Mailbox) -> UserOut:
    """Create a user who can log in once the e-mail is verified; 409 if the e-mail is taken."""
    password_hash = await hash_password(new.password)
    user = User(email=new.email, name=new.name)
    session.add(user)
    try:
        await session.flush()
    except IntegrityError as error:
        if not isinstance(error.orig, UniqueViolation):
            raise
        raise HTTPException(status.HTTP_409_CONFLICT, "This e-mail is taken.") from error
    session.add(Credential(user_id=user.id, password_hash=password_hash))
    message = add_mail_token(session, user, Purpose.VERIFY)
    await session.commit()
    mailbox.append(message)
    return UserOut.model_validate(user)


@router.post("/verify", status_code=status.HTTP_204_NO_CONTENT)
async def verify(sent: Token, session: MainSession) -> None:
    """Verify an e-mail by the token that was sent to it; 400 if the token is not valid."""
    user_id = await use_up(session, sent.token, Purpose.VERIFY)
    await session.execute(
        update(Credential).where(Credential.user_id == user_id).values(verified_at=func.now())
    )
    await session.commit()


@router.post("/login")
async def log_in(proof: Proof, session: MainSession) -> Tokens:
    """Log in; 401 if e-mail or password are wrong, 403 if the e-mail is not verified."""
    # Locked, so that a reset of the password, which ends all logins, cannot overlook this one.
    credential = await session.scalar(
        select(Credential).join(User).where(User.email == proof.email).with_for_update(read=True)
    )
    stored = credential.password_hash if credential else None
    if not await is_password(stored, proof.password) or credential is None:
        refuse("The e-mail or the password is wrong.")
    if credential.verified_at is None:
        raise HTTPException(status.HTTP_403_FORBIDDEN, "Verify your e-mail first.")
    tokens = Tokens()
    session.add(Login(user_id=credential.user_id, **tokens.columns()))
    await session.commit()
    return tokens


@router.post("/refresh")
async def refresh(sent: Token, session: MainSession) -> Tokens:
    """Exchange a refresh token for new tokens; the old ones end. 401 if it is not valid."""
    tokens = Tokens()
    login_id = await session.scalar(
        update(Login)
        .where(
            Login.refresh_hash == digest(sent.token.get_secret_value()),
            Login.refresh_expires_at > func.now(),
        )
        .values(tokens.columns())
        .returning(Login.id)
    )
    if login_id is None:
        refuse("This refresh token is not valid. Log in.")
    await session.commit()
    return tokens


@router.get("/profile")
async def show_profile(login: CurrentLogin, session: MainSession) -> UserOut:
    """Show users themselves."""
    return UserOut.model_validate(await session.get_one(User, login.user_id))


@router.patch("/profile")
async def update_profile(change: Profile, login: CurrentLogin, session: MainSession) -> UserOut:
    """Change what users may change of themselves."""
    user = await session.get_one(User, login.user_id)
    user.name = change.name
    await session.commit()
    return UserOut.model_validate(user)


@router.post("/request-reset", status_code=status.HTTP_202_ACCEPTED)
async def request_reset(wanted: ResetRequest, session: MainSession, mailbox: Mailbox) -> None:
    """Send a token that resets the password. The answer does not tell whether anybody got it."""
    user = await session.scalar(select(User).join(Credential).where(User.email == wanted.email))
    if user is not None:
        message = add_mail_token(session, user, Purpose.RESET)
        await session.commit()
        mailbox.append(message)


@router.post("/reset", status_code=status.HTTP_204_NO_CONTENT)
async def reset(new: NewPassword, session: MainSession) -> None:
    """Set a new password and end every login of the user; 400 if the token is not valid."""
    user_id = await use_up(session, new.token, Purpose.RESET)
    password_hash = await hash_password(new.password)
    await session.execute(
        update(Credential).where(Credential.user_id == user_id).values(password_hash=password_hash)
    )
    await session.execute(delete(Login).where(Login.user_id == user_id))
    await session.commit()


@router.post("/logout", status_code=status.HTTP_204_NO_CONTENT)
async def log_out(login: CurrentLogin, session: MainSession) -> None:
    """End this login: its tokens are refused from now on."""
    await session.delete(login)
    await session.commit()


def refuse(reason: str) -> NoReturn:
    """Answer those who have not proved who they are."""
    raise HTTPException(status.HTTP_401_UNAUTHORIZED, reason, {"WWW-Authenticate": "Bearer"})


def add_mail_token(session: AsyncSession, user: User, purpose: Purpose) -> Message:
    """Store a new token, and word the message that brings it. Send that after the commit."""
    token = secrets.token_urlsafe()
    session.add(
        MailToken(
            token_hash=digest(token),
            user_id=user.id,
            purpose=purpose,
            expires_at=func.now() + MAIL_TOKEN_LIFE,
        )
    )
    return Message(to=user.email, subject=purpose, token=token)


async def use_up(session: AsyncSession, token: SecretStr, purpose: Purpose) -> int:
    """Delete this token and the user's others of the same purpose; 400 if it is not valid."""
    user_id: int | None = await session.scalar(
        delete(MailToken)
        .where(
            MailToken.token_hash == digest(token.get_secret_value()),
            MailToken.purpose == purpose,
            MailToken.expires_at > func.now(),
        )
        .returning(MailToken.user_id)
    )
    if user_id is None:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, "This token is not valid: get another.")
    await session.execute(
        delete(MailToken).where(MailToken.user_id == user_id, MailToken.purpose == purpose)
    )
    return user_id


async def hash_password(password: SecretStr) -> str:
    """Hash a password in a thread: it takes tens of milliseconds and must not stop the loop."""
    return await asyncio.to_thread(hasher.hash, password.get_secret_value())


async def is_password(stored: str | None, password: SecretStr) -> bool:
    """Tell whether a stored hash is that of this password; False, as slowly, if there is none."""
    if stored is None:
        await hash_password(password)  # so that the time of the answer does not tell who is here
        return False
    try:
        return await asyncio.to_thread(hasher.verify, stored, password.get_secret_value())
    except VerifyMismatchError:
        return False
