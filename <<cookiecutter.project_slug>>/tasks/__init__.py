"""The tasks: `invoke --list` shows them."""

import sys
from pathlib import Path

# Where the project is not installed, testdb is found too, and says what is missing.
sys.path.append(str(Path(__file__).resolve().parents[1]))

from invoke.collection import Collection

import testdb  # noqa: F401  before whatever an older Python cannot read
from tasks import (
    db,
    demo,  # demo
    examples,
    server,
    service,
)

namespace = Collection(
    db,
    demo,  # demo
    examples,
    server,
    service,
)
