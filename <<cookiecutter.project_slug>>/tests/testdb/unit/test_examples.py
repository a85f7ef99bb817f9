"""What the databases of an example are called."""

from pathlib import Path

import pytest

from testdb.identity.names import BUILDING, COLD, TEMPLATE, field
from testdb.processes.examples import Example

OTHERS = (TEMPLATE, BUILDING, COLD, "main", "gw0", "person")


@pytest.mark.parametrize("name", OTHERS)
def test_no_example_is_taken_for_a_template_or_a_worker(name: str) -> None:
    assert field(Example(Path(f"example_{name}.py")).role) not in OTHERS
