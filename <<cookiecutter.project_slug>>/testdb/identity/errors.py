"""What a person is told: each message says what happened, why, and what to do next."""


class LifecycleError(Exception):
    """Something in the life of a server or a database cannot go on. The message is for a person."""


class ServerError(LifecycleError):
    """The server is out of reach, or not fit for the work."""


class RefusedError(LifecycleError):
    """A database may not be dropped or opened. Nothing was changed."""


class NotDisposableError(RefusedError):
    """A database is not ours to touch: the rule says so."""

    def __init__(self, database: str, reason: str) -> None:
        """Word the refusal; `reason` is the part of it that differs."""
        super().__init__(
            f"{database!r} is not a disposable database: {reason}. Nothing was changed. "
            "`invoke db.list` shows what can be dropped."
        )
        self.reason = reason
