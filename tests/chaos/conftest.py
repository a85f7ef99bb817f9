"""Two checkouts of one baked project: what the chaos tests do their worst to."""

from pathlib import Path

import pytest

from conftest import Bake


@pytest.fixture(scope="session")
def project(bake: Bake) -> Path:
    """A baked project with two logical databases."""
    return bake(databases="two")


@pytest.fixture(scope="session")
def checkout(bake: Bake) -> Path:
    """Another checkout of the same project."""
    return bake(databases="two")
