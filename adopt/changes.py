"""What adopting changes in a project, and how git undoes it."""

import re
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from configuration import read

OWN_ADAPTER = "testdb/adapter.py"
OWNERS = {
    OWN_ADAPTER,
    "noxfile.py",
    "pytest.ini",
    "tasks/__init__.py",
    "examples/example_health.py",
}
"""What its owner edits once it is written: no update replaces it."""


@dataclass
class Changes:
    """The files that are about to be written, each by its path in the project."""

    root: Path
    wanted: dict[str, str]
    """What this template has, and its text."""
    new: dict[str, str]
    replaced: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)

    def update(self) -> None:
        """Replace and remove, too, what another version of the template wrote."""
        self.replaced = outdated(self.root, self.wanted)
        self.removed = dropped(self.root, self.wanted)

    @property
    def left(self) -> set[str]:
        """What stays as it is."""
        return self.wanted.keys() - self.new.keys() - self.replaced.keys()

    @property
    def _places(self) -> list[str]:
        """Name to git what is changed, and all of testdb by one name."""
        names = (*self.replaced, *self.removed)
        return sorted({"testdb" if name.startswith("testdb/") else name for name in names})

    def linked(self) -> str | None:
        """Say which symbolic link leads out of what git can undo, if one does."""
        names = (*self.new, *self.replaced, *self.removed)
        folders = {folder for name in names for folder in Path(name).parents}
        for name in sorted({*map(Path, self.replaced), *folders}):
            if (self.root / name).is_symlink():
                return (
                    f"{self.root / name} is a symbolic link, and git undoes nothing behind one. "
                    "Put what it leads to in its place, or rename it."
                )
        return None

    def uncommitted(self) -> str | None:
        """Say what git could not bring back, if there is something."""
        if not self._places:
            return None
        changed = ("diff", "--name-only", "--relative", "-z", "HEAD", "--", *self._places)
        names = {*self.replaced, *self.removed} - tracked(self.root, *self._places)
        names |= set(git(self.root, *changed).stdout.split("\0")) - {""}
        if not names:
            return None
        return (
            f"Not all is committed that an update replaces, such as {min(names)}. Commit that "
            "first, so that git shows the update and can undo it."
        )

    def how_to_undo(self) -> str:
        """Spell the commands that undo what is about to be written, and nothing else."""
        commands = []
        if self._places:
            commands.append(["git", "checkout", "HEAD", "--", *self._places])
        if self.new:  # -x: with what Python cached there, which git may ignore
            made = sorted({self._made_for(name) for name in self.new})
            commands.append(["git", "clean", "-fdx", "--", *made])
        return " && ".join(map(shlex.join, commands))

    def _made_for(self, name: str) -> str:
        """Name the outermost folder that is made for a new file, or the file."""
        *folders, _ = Path(name).parents
        for folder in reversed(folders):
            if not holds_more_than_bytecode(self.root / folder):
                return folder.as_posix()
        return name


def git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Ask git of a folder."""
    command = ("git", "-C", str(root), "--literal-pathspecs", *arguments)
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)


def holds_more_than_bytecode(path: Path) -> bool:
    """Tell whether there is a file, or a folder with anything but what Python cached."""
    if path.is_dir():
        return any(file.is_file() and file.suffix != ".pyc" for file in path.rglob("*"))
    return path.exists()


def tracked(root: Path, *places: str) -> set[str]:
    """List what git tracks, as seen from the project's folder."""
    return set(git(root, "ls-files", "-z", "--", *places).stdout.split("\0")) - {""}


def knows_testdb(text: str) -> bool:
    """Tell whether code uses testdb; the word alone may name a database of the owner's."""
    uses = r"^\s*(?:from|import) testdb\b|\btestdb\.fixtures\b"
    return re.search(uses, text, re.MULTILINE) is not None


def outdated(root: Path, wanted: dict[str, str]) -> dict[str, str]:
    """Find what was adopted and is not as this template has it, and what it has instead.

    A file in tasks/ or examples/ that knows nothing of testdb is the owner's, whatever its name.
    """
    found = {}
    for name in sorted(wanted.keys() - OWNERS):
        text = read(root / name)
        is_adopted = name.startswith("testdb/") or knows_testdb(text)
        if is_adopted and text != wanted[name] and (root / name).exists():
            found[name] = wanted[name]
    return found


def dropped(root: Path, wanted: dict[str, str]) -> list[str]:
    """List the files in the rooms of testdb that this template does not have."""
    names = tracked(root, "testdb") - wanted.keys()
    return sorted(name for name in names if name.count("/") > 1 and (root / name).exists())
