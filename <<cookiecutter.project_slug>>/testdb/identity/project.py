"""Which project this is. It imports nothing of the service, so that the supervisor starts fast."""

from pathlib import Path
from typing import Final

PROJECT: Final = "<< cookiecutter.project_slug >>"
"""Who owns the databases: part of every name's check digits and of every marker."""

ROOT: Final = Path(__file__).resolve().parents[2]
"""This checkout. Its embedded server is its own."""

OWN: Final = ("src", "tests", "examples", "tasks", "testdb/adapter.py")
"""Where the owner's code is: the lines that a person is shown when something fails."""


def is_own(path: str) -> bool:
    """Tell whether a file is the owner's code, and not testdb's or a library's."""
    return any(Path(path).resolve().is_relative_to(ROOT / place) for place in OWN)
