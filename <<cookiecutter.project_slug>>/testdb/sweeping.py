"""Drop what dead runs left: `plan` looks, `sweep` acts on it, under locks that prove death."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Final

import psycopg

from testdb import catalog, leases, lifecycle
from testdb.catalog import Entry
from testdb.errors import RefusedError
from testdb.server import Server

TEMPLATES_THAT_STAY: Final = 3
"""Newest templates of each logical database that survive: switching branches stays fast."""
CONNECTIONS: Final = 4
"""Dropping takes 3.5 ms a database over 4, and 5 to 9 over one (2 cores, PostgreSQL 18)."""
LEASES_AT_ONCE: Final = 64
"""How many locks to hold at once; the server's table has room for some 6,400 by default."""


@dataclass(frozen=True)
class Options:
    """What else may go besides the databases of dead runs."""

    kept: bool = False
    """Also what a person keeps."""
    templates: bool = False
    """Also the newest templates."""
    force: bool = False
    """Also what sessions are still connected to, ending them; only of runs proven dead."""


@dataclass(frozen=True)
class Verdict:
    """What happens to one database, and why."""

    name: str
    goes: bool
    why: str
    entry: Entry | None = None

    @property
    def lease(self) -> str | None:
        """Whose lock proves that the database is unused; None if it is not ours."""
        return self.entry.lease if self.entry else None


def plan(connection: psycopg.Connection, options: Options) -> list[Verdict]:
    """Say of every database that is ours, or looks like it, if it goes and why. Changes nothing."""
    found = catalog.read(connection)
    sessions: dict[str, list[int]] = {}
    for entry in found.entries:
        sessions.setdefault(entry.lease, []).extend(entry.pids)
    templates: Counter[str] = Counter()
    verdicts = []
    for entry in sorted(found.entries, key=lambda entry: str(entry.created), reverse=True):
        logical = entry.proven.name.logical
        templates[logical] += entry.is_cached_template
        stays = _reason_to_stay(entry, options, templates[logical], sessions[entry.lease])
        verdicts.append(Verdict(entry.name, not stays, stays or _reason_to_go(entry), entry))
    return verdicts + [
        Verdict(other.name, goes=False, why=other.reason) for other in found.look_alikes
    ]


def _reason_to_stay(entry: Entry, options: Options, rank: int, pids: Collection[int]) -> str | None:
    is_recent = entry.is_cached_template and rank <= TEMPLATES_THAT_STAY
    backends = ", ".join(map(str, sorted(pids)))
    reasons = (
        (entry.owned_by, f"it belongs to the role {entry.owned_by}"),
        (entry.alive, "a living run uses it"),
        (is_recent and not options.templates, f"one of the {TEMPLATES_THAT_STAY} newest templates"),
        (entry.is_kept and not options.kept, "it is kept"),
        (pids and not options.force, f"its dead run left sessions on it: backends {backends}"),
    )
    return next((reason for holds, reason in reasons if holds), None)


def _reason_to_go(entry: Entry) -> str:
    if entry.is_cached_template:
        return "nobody uses this template"
    marker = entry.proven.marker
    if marker is None:
        return "its run died while creating it"
    if marker.kept_until is None:
        return "its run is dead"
    return "it was kept" if entry.is_kept else "it was kept, and that time is over"


def sweep(
    server: Server,
    options: Options,
    *,
    on_verdict: Callable[[Verdict], None] = lambda _: None,
) -> list[Verdict]:
    """Carry out the plan; returns what became of every database that it names.

    Args:
        server: where to sweep.
        options: what else may go.
        on_verdict: called after each database that was to go, from several threads.

    Raises:
        psycopg.OperationalError: the connection that holds the locks was lost; nothing was dropped
            after that.
    """
    with ExitStack() as stack:
        holder = stack.enter_context(closing(server.connect("testdb sweep")))
        planned = plan(holder, options)
        outcomes = [verdict for verdict in planned if not verdict.goes]
        owners = sorted({verdict.lease for verdict in planned if verdict.goes and verdict.lease})
        if owners:
            drop = stack.enter_context(_droppers(server, holder, options))
        for start in range(0, len(owners), LEASES_AT_ONCE):
            batch = owners[start : start + LEASES_AT_ONCE]
            with _proven_dead(holder, batch) as dead:
                # Planned anew under the locks: only what is still there and still to go, goes.
                now = [verdict for verdict in plan(holder, options) if verdict.lease in batch]
                for verdict in drop(now, dead):
                    on_verdict(verdict)
                    outcomes.append(verdict)
    return outcomes


@contextmanager
def _proven_dead(holder: psycopg.Connection, owners: Collection[str]) -> Iterator[set[str]]:
    """Hold the locks of those runs and templates that nobody else holds: they are dead."""
    dead = {owner for owner in owners if leases.try_exclusively(holder, owner)}
    try:
        yield dead
    finally:
        if not holder.broken:
            for owner in dead:
                leases.release_exclusively(holder, owner)


@contextmanager
def _droppers(
    server: Server, holder: psycopg.Connection, options: Options
) -> Iterator[Callable[[Iterable[Verdict], Collection[str]], Iterator[Verdict]]]:
    """Drop over several connections, and never without the holder's locks."""
    connections: SimpleQueue[psycopg.Connection] = SimpleQueue()

    def drop(verdict: Verdict, dead: Collection[str]) -> Verdict:
        if verdict.entry is None or not verdict.goes:
            return verdict
        if verdict.lease not in dead:
            return replace(verdict, goes=False, why="a living run uses it")
        connection = connections.get()
        try:
            holder.execute("SELECT 1")
            lifecycle.drop(connection, verdict.entry.proven, end_sessions=options.force)
        except RefusedError as refusal:
            return replace(verdict, goes=False, why=str(refusal))
        finally:
            connections.put(connection)
        return verdict

    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            connections.put(stack.enter_context(closing(server.connect("testdb sweep"))))
        pool = stack.enter_context(ThreadPoolExecutor(CONNECTIONS))
        yield lambda verdicts, dead: pool.map(lambda verdict: drop(verdict, dead), verdicts)
