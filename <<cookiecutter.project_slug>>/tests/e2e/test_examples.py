"""Every example is an end-to-end test: a process of its own, which cleans up after itself."""

import pytest

from testdb.processes import examples
from testdb.processes.examples import Example
from testdb.runs.run import Run


@pytest.mark.parametrize("example", examples.find(), ids=lambda example: example.path.name)
def test_example(example: Example, run: Run) -> None:
    result = examples.run_example(example, run)
    if result.problem:
        pytest.fail(result.report(), pytrace=False)
