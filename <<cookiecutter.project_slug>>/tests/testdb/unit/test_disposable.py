"""The rule: a database is disposable if its name parses and its marker spells that very name."""

from datetime import UTC, datetime

import pytest

from testdb.identity.disposable import Disposable, Kind, Marker, prove
from testdb.identity.errors import NotDisposableError
from testdb.identity.names import BUILDING, COLD, TEMPLATE, Name
from testdb.identity.project import PROJECT

RUN = "0123456789"
OTHER_RUN = "9876543210"
FINGERPRINT = "abcdefabcd"


def marker(**changes: object) -> Marker:
    told = {
        "project": PROJECT,
        "run": RUN,
        "worker": "gw0",
        "logical": "main",
        "kind": Kind.WORKER,
        "host": "here",
        "pid": 1,
        "created": datetime(2026, 1, 2, tzinfo=UTC),
        "role": "gw0",
    }
    return Marker.model_validate(told | changes)


def spell(owner: str = RUN, role: str = "gw0", logical: str = "main") -> str:
    return str(Name.of(owner, role, logical))


def template(**changes: object) -> Marker:
    return marker(kind=Kind.TEMPLATE, role=TEMPLATE, fingerprint=FINGERPRINT, **changes)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (spell(), marker()),
        (spell(role="gw0x1"), marker(kind=Kind.CLONE, role="gw0x1")),
        (spell(role="Ein langes Beispiel"), marker(role="Ein langes Beispiel")),
        (spell(role=BUILDING), template()),
        (spell(FINGERPRINT, TEMPLATE), template()),
        (spell(role=COLD), marker(kind=Kind.TEMPLATE, role=COLD)),
        (spell(role=BUILDING), marker(kind=Kind.TEMPLATE, role=COLD)),
    ],
)
def test_a_name_with_its_marker_is_disposable(name: str, said: Marker) -> None:
    proven = prove(name, said.model_dump_json())
    assert str(proven.name) == name
    assert proven.marker == said


def test_a_name_without_any_marker_proves_itself() -> None:
    assert prove(spell(), None).marker is None


@pytest.mark.parametrize(
    ("name", "comment", "why"),
    [
        ("production", marker().model_dump_json(), "its name is not one"),
        ("production", None, "its name is not one"),
        (spell()[:-1] + "!", None, "its name is not one"),
        (spell().upper(), marker().model_dump_json(), "its name is not one"),
        (spell(), "", "not a marker"),
        (spell(), "{}", "not a marker"),
        (spell(), "my notes", "not a marker"),
        (spell(), marker().model_dump_json()[:-1], "not a marker"),
        (spell(), marker().model_dump_json()[:-1] + ',"more":1}', "not a marker"),
        (spell(), marker(project="other").model_dump_json(), "belongs to another database"),
        (spell(), marker(run=OTHER_RUN).model_dump_json(), "belongs to another database"),
        (spell(), marker(role="gw1").model_dump_json(), "belongs to another database"),
        (spell(), marker(logical="other").model_dump_json(), "belongs to another database"),
        (spell(), template().model_dump_json(), "belongs to another database"),
        (spell(role=BUILDING), marker().model_dump_json(), "belongs to another database"),
        (spell(FINGERPRINT, TEMPLATE), marker().model_dump_json(), "belongs to another database"),
        (spell(FINGERPRINT, TEMPLATE), None, "named as a template but has no marker"),
    ],
)
def test_anything_else_is_refused_and_told_why(name: str, comment: str | None, why: str) -> None:
    with pytest.raises(NotDisposableError, match=why) as refusal:
        prove(name, comment)
    assert repr(name) in str(refusal.value)
    assert "Nothing was changed" in str(refusal.value)


def test_nothing_else_makes_a_disposable() -> None:
    with pytest.raises(TypeError, match=r"Only testdb\.identity\.disposable\.prove"):
        Disposable(Name.of(RUN, "gw0", "main"), marker(), object())
