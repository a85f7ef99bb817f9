"""How the name of a disposable database is spelled and read: the only place that does either.

    testdb_<project>_<owner>_<role>_<logical>_<check>

`owner` is a run id, or the fingerprint of a cached template. `role` is the worker for a run's
database. `check` are digits over everything else and the whole project name: what a person
types never carries them, so a name proves itself even where a crash left no marker.
"""

import base64
import hashlib
import re
import secrets
import unicodedata
from dataclasses import dataclass
from typing import Final, Self

from testdb.identity.project import PROJECT

TEMPLATE: Final = "template"
"""The role of a complete, cached template; its owner is a fingerprint instead of a run id."""
BUILDING: Final = "building"
"""The role of a template that a run is building; nobody clones it under this name."""
COLD: Final = "cold"
"""The role of a template that one run built for itself alone."""

RUN_ID_BYTES: Final = 5
"""40 random bits: the chance that two of 10,000 runs share an id is 1 in 22,000."""
CHECK_BYTES: Final = 5
FIELD: Final = 11
"""Longest field: `testdb`, four fields, 8 check digits and the separators are 63 bytes at most.

PostgreSQL cuts names after 63 bytes (NAMEDATALEN - 1).
"""

_FIELD: Final = f"([a-z0-9]{{1,{FIELD}}})"
_NAME: Final = re.compile(f"testdb_{_FIELD}_{_FIELD}_{_FIELD}_{_FIELD}_[a-z2-7]{{8}}")
_RUN_ID: Final = re.compile(r"[0-9a-f]{10}")


def new_run_id() -> str:
    """Draw the id of a new run."""
    return secrets.token_hex(RUN_ID_BYTES)


def is_run_id(text: str) -> bool:
    """Tell whether a text could be a run id."""
    return _RUN_ID.fullmatch(text) is not None


def prefix_of(owner: str, project: str = PROJECT) -> str:
    """Spell how all names of a run (or of a template) begin."""
    # The whole project name goes into the check digits, so that here a readable head will do.
    head = _readable(project)[:FIELD] or "project"
    return f"testdb_{head}_{owner}_"


def field(text: str) -> str:
    """Spell any text as a field of a name: 1 to 11 of a-z and 0-9.

    A text that does not fit as it is keeps a readable head and gets a hash as its tail, so that
    two different texts never share a field.
    """
    readable = _readable(text)
    if readable == text and 1 <= len(text) <= FIELD:
        return text
    return readable[: FIELD - 5] + hashlib.blake2b(text.encode()).hexdigest()[:5]


def _readable(text: str) -> str:
    """Keep the letters and digits of a text."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]", "", plain)


@dataclass(frozen=True)
class Name:
    """The name of a disposable database of a project, taken apart."""

    owner: str
    role: str
    logical: str
    project: str = PROJECT

    def __str__(self) -> str:
        """Spell the name, check digits and all."""
        stem = f"{prefix_of(self.owner, self.project)}{self.role}_{self.logical}"
        return f"{stem}_{_check_digits(self.project, stem)}"

    @classmethod
    def of(cls, owner: str, role: str, logical: str, project: str = PROJECT) -> Self:
        """Name the database of a run's worker (or of a template) for a logical database."""
        return cls(owner=owner, role=field(role), logical=field(logical), project=project)

    @property
    def run(self) -> str | None:
        """The run that the database belongs to; a cached template belongs to none."""
        return None if self.role == TEMPLATE else self.owner


def parse(text: str, project: str = PROJECT) -> Name | None:
    """Read a name; None if this project did not spell it."""
    match = _NAME.fullmatch(text)
    if match is None:
        return None
    _, owner, role, logical = match.groups()
    name = Name(owner, role, logical, project)
    return name if str(name) == text else None


def _check_digits(project: str, stem: str) -> str:
    digest = hashlib.blake2b(f"{project}\0{stem}".encode(), digest_size=CHECK_BYTES).digest()
    return base64.b32encode(digest).decode().lower()
