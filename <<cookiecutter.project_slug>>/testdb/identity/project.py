"""Which project this is. It imports nothing of the service, so that the supervisor starts fast."""

from pathlib import Path
from typing import Final

PROJECT: Final = "<< cookiecutter.project_slug >>"
"""Who owns the databases: part of every name's check digits and of every marker."""

ROOT: Final = Path(__file__).resolve().parents[2]
"""This checkout. Its embedded server is its own."""
