"""The tasks: `invoke --list` shows them."""

import sys
from pathlib import Path

# Where the project is not installed, testdb is found too, and says what is missing.
sys.path.append(str(Path(__file__).resolve().parents[1]))

from invoke.collection import Collection

from testdb.processes.reports import show_errors_in_short

# Before the tasks are imported: they import the adapter.
show_errors_in_short()

from tasks import (  # noqa: E402
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
