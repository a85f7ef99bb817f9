"""THE RULE: which databases may be dropped; and the marker that each of them carries.

`prove` is the rule. Everything that drops takes the `Disposable` that only it can make.
There is no switch that turns it off.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from testdb.identity.errors import NotDisposableError
from testdb.identity.names import BUILDING, COLD, TEMPLATE, Name, parse
from testdb.identity.project import PROJECT


class Kind(StrEnum):
    """What a disposable database was made for."""

    WORKER = "worker"
    CLONE = "clone"
    EXAMPLE = "example"
    CREATED = "created"
    TEMPLATE = "template"


class Purpose(BaseModel):
    """What a database is made for, and by which run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    worker: str
    logical: str
    kind: Kind
    role: str
    """The role in the name; for a worker's database the worker."""
    fingerprint: str | None = None
    """Of a cached template: what it was built from."""


class Marker(Purpose):
    """The JSON in COMMENT ON DATABASE: the purpose, and who made the database when."""

    project: str
    host: str
    pid: int
    created: AwareDatetime
    """By the server's clock."""
    kept_until: AwareDatetime | None = None
    """Sweep leaves a kept database alone until then, by the server's clock."""

    def names(self) -> set[Name]:
        """Give the names that go with this marker: a template is renamed when it is complete."""
        owner = self.fingerprint if self.role == TEMPLATE and self.fingerprint else self.run
        own = Name.of(owner, self.role, self.logical)
        if self.kind is Kind.TEMPLATE:
            return {own, Name.of(self.run, BUILDING, self.logical)}
        return {own}


_PROOF: Final = object()


@dataclass(frozen=True)
class Disposable:
    """A database that passed the rule. Only `prove` and `prove_own` can make one."""

    name: Name
    marker: Marker | None
    """None if a crash came before COMMENT, or a test changed it: check digits prove the name."""
    proof: object = field(repr=False)

    @property
    def is_template(self) -> bool:
        """Tell whether it is a template, complete or not: no test uses it."""
        return self.name.role in {TEMPLATE, BUILDING, COLD}

    def __post_init__(self) -> None:
        """Refuse whatever did not come through the rule.

        Raises:
            TypeError: somebody else made it.
        """
        if self.proof is not _PROOF:
            msg = "Only testdb.identity.disposable.prove makes a Disposable."
            raise TypeError(msg)


def prove(database: str, comment: str | None) -> Disposable:
    """THE RULE: a database may be dropped if its name parses and its marker spells that name.

    Without any marker the name alone must do: CREATE and COMMENT are two statements, and a crash
    can come between them. Its check digits then say that this project made it for a run. Only a
    complete template always has its marker, so without one it is refused.

    The rule says that this project made the database. Whether anybody uses it, its lease tells.

    Raises:
        NotDisposableError: anything else. The database is not ours to touch.
    """
    name = parse(database)
    if name is None:
        raise NotDisposableError(database, f"its name is not one that {PROJECT} gives")
    if comment is None:
        if name.role == TEMPLATE:
            raise NotDisposableError(database, "it is named as a template but has no marker")
        return Disposable(name, None, _PROOF)
    try:
        marker = Marker.model_validate_json(comment)
    except ValidationError:
        raise NotDisposableError(database, "its comment is not a marker") from None
    if marker.project != PROJECT or name not in marker.names():
        raise NotDisposableError(database, "its marker belongs to another database")
    return Disposable(name, marker, _PROOF)


def prove_own(database: str, comment: str | None, run: str) -> Disposable:
    """Apply the rule as the living run that made the database: the name will do.

    A test may have changed the comment, and then no other rule would ever let the database go. Its
    name holds the id of the run and check digits: nobody else has one of this name.

    Raises:
        NotDisposableError: this run did not make it.
    """
    name = parse(database)
    if name is None or name.run != run:
        raise NotDisposableError(database, f"it is none of run {run}")
    try:
        return prove(database, comment)
    except NotDisposableError:
        return Disposable(name, None, _PROOF)
