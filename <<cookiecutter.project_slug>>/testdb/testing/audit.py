"""What became of the databases of a run, over all of its processes; what is left is dropped."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from testdb.identity.errors import LifecycleError, RefusedError
from testdb.postgres import Error, catalog
from testdb.postgres.catalog import Entry
from testdb.runs import KEPT_DAYS
from testdb.runs.run import Kept, Run


@dataclass
class Audit:
    """The account that a run gives at its end."""

    roles_before: set[str] = field(default_factory=set)
    """The server's roles when the run began."""
    created: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    renewed: int = 0
    """How often a lease was lost and taken again."""
    kept: list[Kept] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Why something is left, or cannot be known; each is about one database or the server."""
    new_roles: list[str] = field(default_factory=list)
    cloned_anew: list[str] = field(default_factory=list)
    """Why databases were not reset, once for each of them."""

    @property
    def has_failed(self) -> bool:
        """Something was left behind, or may have been."""
        return bool(self.left or self.problems)

    def add(
        self,
        created: Sequence[str],
        dropped: Sequence[str],
        renewed: int,
        kept: Sequence[Sequence[str]],
        cloned_anew: Sequence[str],
    ) -> None:
        """Add what one process did, as `account_of` tells it."""
        self.created += created
        self.dropped += dropped
        self.renewed += renewed
        self.kept += [Kept(*told) for told in kept]
        self.cloned_anew += cloned_anew

    def close(self, run: Run) -> None:
        """Drop what the run has left, in its last process, and add what that process did."""
        self.add(*account_of(run))
        try:
            run.renew_lease()
            for database, gid in catalog.prepared_transactions(run.connection, run.id):
                self.problems.append(
                    f"the prepared transaction {gid!r} is left in {database}, which cannot be "
                    "dropped before ROLLBACK PREPARED in it"
                )
            self.new_roles = sorted(catalog.roles(run.connection) - self.roles_before)
            present = {entry.name: entry for entry in run.entries()}
            for entry in present.values():
                if not entry.is_kept:
                    self._drop(run, entry)
        except (LifecycleError, Error) as error:
            self.problems.append(f"what is left goes with `invoke db.sweep`: {error}")
            return
        # Counted, as the databases of a worker are made anew under their names.
        accounted = Counter([*self.dropped, *(kept.was for kept in self.kept), *present])
        self.problems += [
            f"created, and then dropped or renamed by somebody else: {name}"
            for name in (Counter(self.created) - accounted).elements()
        ]

    def _drop(self, run: Run, entry: Entry) -> None:
        try:
            run.drop_leftover(entry)
        except RefusedError as refusal:
            self.problems.append(str(refusal))
            return
        # A cold template goes with its run, and was not counted.
        if not entry.proven.is_template:
            self.left.append(entry.name)

    def lines(self) -> Iterator[tuple[str, dict[str, bool]]]:
        """Word the account for people: each line, and the colors that pytest shall give it."""
        done = f"{len(self.created)} databases created, {len(self.dropped)} dropped"
        yield f"{done}, {len(self.kept)} kept, {len(self.left)} left", {}
        for reason, times in Counter(self.cloned_anew).most_common():
            databases = "database" if times == 1 else "databases"
            yield f"{times} {databases} cloned anew instead of reset: {reason}", {}
        if self.renewed:
            lost = f"leases lost, and taken again before any sweep came: {self.renewed}"
            yield lost, {"yellow": True}
        if self.new_roles:
            roles = ", ".join(self.new_roles)
            yield (
                f"roles made during this run, which no database isolates: {roles}",
                {"yellow": True},
            )
        for problem in self.problems:
            yield problem, {"red": True}
        for name in self.left:
            yield f"left behind, now dropped: {name}", {"red": True}
        for kept in self.kept:
            left_as = f"kept for {KEPT_DAYS:g} days as {kept.why} left it"
            yield f"{left_as}: invoke db.shell --on {kept.name} (invoke db.drop {kept.name})", {}


def account_of(run: Run) -> tuple[Any, ...]:
    """Say what this process did, in what xdist can send to the controller."""
    kept = [tuple(kept) for kept in run.kept]
    return run.created, run.dropped, run.renewed, kept, run.cloned_anew
