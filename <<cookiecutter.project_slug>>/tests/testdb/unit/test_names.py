"""How names are spelled and read: any of ours parses, and nothing else does."""

import itertools

import pytest

from testdb.identity import names
from testdb.identity.names import BUILDING, FIELD, TEMPLATE, Name, parse

LONGEST = 63
"""Bytes after which PostgreSQL cuts a name."""
PROJECTS = [
    "a",
    "<< cookiecutter.project_slug >>",
    "x" * 300,
    "9-to-5",
    "größe-Ω",
    "日本",
    "%_'\"",
]
OWNERS = [names.new_run_id(), "0123456789"]
ROLES = ["main", "gw0", "gw12345", TEMPLATE, BUILDING, "Größe", "an_example_with_a_long_name", "_"]
LOGICALS = ["main", "timeseries", "TimeSeries", "time_series", "ΩΩΩ", "a" * 100]


@pytest.mark.parametrize("project", PROJECTS)
def test_every_name_is_read_as_it_was_spelled(project: str) -> None:
    spelled = {}
    for owner, role, logical in itertools.product(OWNERS, ROLES, LOGICALS):
        name = Name.of(owner, role, logical, project)
        assert parse(str(name), project) == name
        assert len(str(name).encode()) <= LONGEST
        spelled[str(name)] = (owner, role, logical)
    assert len(spelled) == len(OWNERS) * len(ROLES) * len(LOGICALS), "two share a name"


def test_projects_with_the_same_head_share_no_name() -> None:
    projects = ("my-service", "my_service", "my-service-2", "My-Service")
    for own in projects:
        name = str(Name.of("0123456789", "main", "main", own))
        assert [project for project in projects if parse(name, project)] == [own]


@pytest.mark.parametrize("place", range(0, LONGEST, 3))
def test_one_changed_character_makes_it_no_name(place: int) -> None:
    name = str(Name.of("0123456789", "gw0", "main"))
    place %= len(name)
    for character in "abz09_%'\" Tü-":
        changed = name[:place] + character + name[place + 1 :]
        assert changed == name or parse(changed) is None


@pytest.mark.parametrize(
    "text", ["", "testdb_", "postgres", "testdb_a_b_c_d_aaaaaaaa", "x" * LONGEST, "testdb_\n"]
)
def test_what_a_person_types_is_no_name(text: str) -> None:
    assert parse(text) is None


def test_a_name_stands_alone() -> None:
    name = str(Name.of("0123456789", "gw0", "main"))
    for around in (f"x{name}", f"{name}x", f" {name}", f"{name}\n", f'"{name}"', name.upper()):
        assert parse(around) is None


@pytest.mark.parametrize("text", ["main", "gw0", "a" * FIELD, "0"])
def test_a_text_that_fits_stays_as_it_is(text: str) -> None:
    assert names.field(text) == text


def test_texts_that_do_not_fit_stay_apart() -> None:
    texts = ["", "_", "Main", "MAIN", "a" * 12, "a" * 13, "é", "e", "日本", "日"]
    fields = {names.field(text) for text in texts}
    assert len(fields) == len(texts)
    assert all(1 <= len(field) <= FIELD for field in fields)


def test_run_ids_are_told_from_other_texts() -> None:
    assert names.is_run_id(names.new_run_id())
    assert len({names.new_run_id() for _ in range(1000)}) == 1000
    for text in ("", "0123456789\n", "0123456789a", "012345678G", "../../etc"):
        assert not names.is_run_id(text)
