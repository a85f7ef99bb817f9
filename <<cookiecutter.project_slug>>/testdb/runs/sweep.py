"""Drop what dead runs left: `plan` looks, `sweep` acts on it, under locks that prove death."""

import math
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from testdb.identity.errors import RefusedError
from testdb.postgres import Connection, catalog, databases, leases
from testdb.postgres.catalog import Entry
from testdb.postgres.server import Server

TEMPLATES_THAT_STAY: Final = 3
"""Newest templates of each logical database that survive: switching branches stays fast."""
CONNECTIONS: Final = 4
"""Dropping takes 3.5 ms a database over 4, and 5 to 9 over one (2 cores, PostgreSQL 18)."""
LEASES_AT_ONCE: Final = 64
"""Locks that one connection holds; the server's table has room for some 6,400 by default."""
IN_USE: Final = "a living run (or another sweep) uses it"


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
    will_drop: bool
    reason: str
    entry: Entry | None = None

    @property
    def lease(self) -> str | None:
        """Whose lock proves that the database is unused; None if it is not ours."""
        return self.entry.lease if self.entry else None


def plan(connection: Connection, options: Options) -> list[Verdict]:
    """Say of every database that is ours, or looks like it, what would happen to it, and why."""
    found = catalog.read(connection)
    sessions: dict[str, list[int]] = {}
    for entry in found.entries:
        sessions.setdefault(entry.lease, []).extend(entry.pids)
    templates: Counter[str] = Counter()
    verdicts = []
    for entry in reversed(found.entries):
        logical = entry.proven.name.logical
        templates[logical] += entry.is_cached_template
        stays = _reason_to_stay(entry, options, templates[logical], sessions[entry.lease])
        verdicts.append(Verdict(entry.name, not stays, stays or _reason_to_go(entry), entry))
    return verdicts + [
        Verdict(other.name, will_drop=False, reason=other.reason) for other in found.look_alikes
    ]


def _reason_to_stay(entry: Entry, options: Options, rank: int, pids: Collection[int]) -> str | None:
    is_recent = entry.is_cached_template and rank <= TEMPLATES_THAT_STAY
    backends = ", ".join(map(str, sorted(pids)))
    reasons = (
        (entry.owned_by, f"it belongs to the role {entry.owned_by}"),
        (entry.alive, IN_USE),
        (is_recent and not options.templates, f"one of the {TEMPLATES_THAT_STAY} newest templates"),
        (entry.is_kept and not options.kept, "it is kept"),
        (pids and not options.force, f"its dead run left sessions: backends {backends}"),
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
        on_verdict: called after each database that was to be dropped, from several threads.

    Raises:
        ServerError: a connection cannot be made.
        Error: a connection was lost, and its locks with it. Nothing was
            dropped over it after that.
    """
    with closing(server.connect("testdb sweep")) as connection:
        planned = plan(connection, options)
    owners = sorted({verdict.lease for verdict in planned if verdict.will_drop and verdict.lease})
    size = min(LEASES_AT_ONCE, math.ceil(len(owners) / CONNECTIONS)) or 1
    batches = [owners[start : start + size] for start in range(0, len(owners), size)]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        swept = pool.map(lambda batch: _sweep(server, options, batch, on_verdict), batches)
        return [*chain(*swept), *(stays for stays in planned if stays.lease not in owners)]


def _sweep(
    server: Server, options: Options, owners: list[str], on_verdict: Callable[[Verdict], None]
) -> list[Verdict]:
    """Sweep what these runs and templates left.

    The connection that drops holds the locks that prove them dead: if it is lost, both end.
    """
    outcomes = []
    with closing(server.connect("testdb sweep")) as connection:
        dead = {owner for owner in owners if leases.try_exclusively(connection, owner)}
        # Planned anew under the locks: since the first plan a database may have gone, or be kept.
        for verdict in plan(connection, options):
            if verdict.lease in owners:
                outcomes.append(_drop(connection, verdict, dead, end_sessions=options.force))
                if verdict.will_drop:
                    on_verdict(outcomes[-1])
    return outcomes


def _drop(
    connection: Connection, verdict: Verdict, dead: Collection[str], *, end_sessions: bool
) -> Verdict:
    if verdict.entry is None or not verdict.will_drop:
        return verdict
    if verdict.lease not in dead:
        return replace(verdict, will_drop=False, reason=IN_USE)
    try:
        databases.drop(connection, verdict.entry.proven, end_sessions=end_sessions)
    except RefusedError as refusal:
        return replace(verdict, will_drop=False, reason=str(refusal))
    return verdict
