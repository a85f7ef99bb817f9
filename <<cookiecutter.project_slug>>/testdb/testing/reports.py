"""Keep passwords out of reports: pytest prints the variables of the frames that an error passed."""

from pathlib import Path
from typing import Final

from testdb.identity.project import ROOT

OWN: Final = ("src", "tests", "examples")
"""Where the owner's code is. Other frames hold what a connection is made with."""


def hide_variables_of_libraries(longrepr: object) -> None:
    """Leave the variables of the owner's code in what pytest says of an error, and no others."""
    for traceback, *_ in getattr(longrepr, "chain", ()):
        for entry in traceback.reprentries:
            place = getattr(entry, "reprfileloc", None)
            if place is None or not is_own(Path(place.path)):
                entry.reprlocals = entry.reprfuncargs = None


def is_own(path: Path) -> bool:
    """Tell whether a file holds the owner's code."""
    return any(path.absolute().is_relative_to(ROOT / folder) for folder in OWN)
