"""What these tests say of a user: the one place to change when a user needs more."""

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(scope="session")
def describe_user() -> Callable[[str], dict[str, Any]]:
    """Describe a user of some name, for the model and for POST /users alike."""
    return lambda name: {"email": f"{name.lower()}@example.com", "name": name}
