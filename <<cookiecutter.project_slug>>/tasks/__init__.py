"""The tasks: `invoke --list` shows them."""

from invoke.collection import Collection

from tasks import db, examples, server, service

namespace = Collection(db, examples, server, service)
