"""Is this the Python that the project needs? Importing this module ends one that is not.

Any Python 3 must be able to read it: it is imported first, and imports nothing of testdb.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

OLDEST = (3, 11)
SERVICES = Path(__file__).resolve().parents[2].glob("src/*/__init__.py")
# One of what the service depends on, one of what its tests do, and the service itself.
NEEDED = ["alembic", "xdist", *(path.parent.name for path in SERVICES)]
LACKING = [name for name in NEEDED if find_spec(name) is None]

if sys.version_info < OLDEST:
    sys.exit(
        f"This is Python {sys.version.split()[0]} ({sys.executable}), and the project needs "
        "3.11 or newer. With such a one, run `nox -s dev`, then `. .venv/bin/activate`."
    )
if LACKING:
    sys.exit(
        f"This Python ({sys.executable}) lacks {', '.join(LACKING)}. "
        "Run `nox -s dev`, then `. .venv/bin/activate`."
    )
