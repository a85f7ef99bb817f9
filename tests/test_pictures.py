"""The pictures of the README: all are there, and can be read by those who do not see them."""

import re
import sys
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import pytest

from harness import outcome
from harness.baking import TEMPLATE, copy_template
from harness.environment import clean_variables

SHOWN: Final = re.findall(r"!\[(.+)\]\((.+\.svg)\)", (TEMPLATE / "README.md").read_text())
"""The alternative text and the path of each picture in the README."""
PATHS: Final = [path for _, path in SHOWN]
MOST_BYTES: Final = 60_000


def drawn(directory: Path) -> set[str]:
    return {path.name for path in directory.glob("*")}


def test_the_readme_shows_every_picture_once() -> None:
    assert drawn(TEMPLATE / "docs")
    shown = sorted(path for path in PATHS if path.startswith("docs/"))
    assert shown == sorted(f"docs/{name}" for name in drawn(TEMPLATE / "docs"))


@pytest.mark.parametrize("path", PATHS)
def test_a_picture_is_small_has_a_name_and_loads_nothing(path: str) -> None:
    text = (TEMPLATE / path).read_text()
    picture = ET.fromstring(text)  # noqa: S314  we have drawn it
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    assert picture.get("aria-label")
    assert picture.get("width")
    assert len(text.encode()) < MOST_BYTES
    assert not re.search(r"@font-face|@import|url\((?!#)|<image|href", text)


@pytest.mark.long
def test_the_session_draws_every_picture(tmp_path: Path) -> None:
    template, into = copy_template(tmp_path), tmp_path / "drawn"
    command = (sys.executable, "-m", "nox", "-s", "pictures", "--", "--into", str(into))
    outcome.run(*command, cwd=template, env=clean_variables())
    assert drawn(into) == drawn(TEMPLATE / "docs")
