"""The tasks: `invoke --list` shows them."""

from invoke.collection import Collection

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
