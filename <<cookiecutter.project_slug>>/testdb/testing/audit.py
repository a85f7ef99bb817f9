"""What became of the databases of a run, over all of its processes; what is left is dropped."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from testdb.identity.errors import LifecycleError
from testdb.postgres import Error
from testdb.runs.run import KEPT_DAYS, Run


@dataclass
class Audit:
    """The account that a run gives at its end."""

    created: int = 0
    dropped: int = 0
    renewed: int = 0
    kept: list[tuple[str, str]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    problem: str | None = None
    """Why it cannot be known what is left; the next sweep drops it."""

    @property
    def has_failed(self) -> bool:
        """Something was left behind, or may have been."""
        return bool(self.left or self.problem)

    def add(self, created: int, dropped: int, renewed: int, kept: list[tuple[str, str]]) -> None:
        """Add what one process did, as `account_of` tells it."""
        self.created += created
        self.dropped += dropped
        self.renewed += renewed
        self.kept += kept

    def close(self, run: Run) -> None:
        """Drop what the run has left, in its last process, and add what that process did."""
        try:
            run.renew_lease()
            for entry in run.drop_leftovers(lambda entry: not entry.is_kept):
                # A cold template goes with its run, and was not counted.
                if not entry.proven.is_template:
                    self.left.append(entry.name)
        except (LifecycleError, Error) as error:
            self.problem = str(error)
        self.add(*account_of(run))

    def lines(self) -> Iterator[tuple[str, dict[str, bool]]]:
        """Word the account for people: each line, and the colors that pytest shall give it."""
        kept_and_left = f"{len(self.kept)} kept, {len(self.left)} left"
        yield f"{self.created} databases created, {self.dropped} dropped, {kept_and_left}", {}
        if self.renewed:
            lost = f"leases lost, and taken again before any sweep came: {self.renewed}"
            yield lost, {"yellow": True}
        if self.problem:
            yield f"what is left goes with `invoke db.sweep`: {self.problem}", {"red": True}
        for name in self.left:
            yield f"left behind, now dropped: {name}", {"red": True}
        for test, uri in self.kept:
            database = uri.rpartition("/")[2].partition("?")[0]
            left_as = f"kept for {KEPT_DAYS:g} days as {test} left it"
            yield f"{left_as}: psql '{uri}' (invoke db.drop {database})", {}


def account_of(run: Run) -> tuple[Any, ...]:
    """Say what this process did, in what xdist can send to the controller."""
    return len(run.created), len(run.dropped), run.renewed, run.kept
