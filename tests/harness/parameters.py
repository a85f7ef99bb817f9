"""Parameters of tests in several files: what is the default, and what the long form adds."""

from typing import Final

import pytest

SESSIONS: Final = ("unit", "integration", "e2e", "examples")
"""The sessions of a baked project that run its tests and examples."""
LOGICAL: Final = {"one": {"main"}, "two": {"main", "timeseries"}}
"""The logical databases, by the answer to `databases`."""
long = pytest.mark.long
one_and_two = pytest.mark.parametrize("databases", LOGICAL)
one_by_default = pytest.mark.parametrize("databases", ["one", pytest.param("two", marks=long)])
two_by_default = pytest.mark.parametrize("databases", ["two", pytest.param("one", marks=long)])
no_workers_by_default = pytest.mark.parametrize("workers", ["0", pytest.param("2", marks=long)])
two_workers_by_default = pytest.mark.parametrize("workers", ["2", pytest.param("0", marks=long)])
