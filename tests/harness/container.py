"""Do what a Dockerfile says in directories of this machine, where no Docker is.

Each stage is a directory that stands for `/`. Its programs are this machine's, its Python is the
one that runs the tests; paths in an image become paths in its directory.
"""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from string import Template
from typing import Final

import uv
from dockerfile_parse import DockerfileParser

from harness.environment import clean_variables
from harness.outcome import run

UV_IMAGE: Final = "ghcr.io/astral-sh/uv:"


def read_dockerfile(project: Path) -> list[tuple[str, str]]:
    """Read a project's Dockerfile: `("WORKDIR", "/app")` and so on, without comments."""
    parser = DockerfileParser(path=str(project), cache_content=True)
    found = [(each["instruction"], each["value"]) for each in parser.structure]
    return [(name, value) for name, value in found if name != "COMMENT"]


def is_sent(project: Path, path: Path) -> bool:
    """Tell whether .dockerignore lets Docker see a path: the last pattern that matches decides."""
    relative = PurePosixPath(path.relative_to(project).as_posix())
    sent = True
    for line in (project / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!")
            if any(_matches(each, pattern) for each in (relative, *relative.parents)):
                sent = line.startswith("!")
    return sent


def _matches(path: PurePosixPath, pattern: str) -> bool:
    anywhere = pattern.removeprefix("**/")
    if anywhere != pattern:
        return fnmatch(path.name, anywhere)
    return len(path.parts) == pattern.count("/") + 1 and fnmatch(str(path), pattern)


@dataclass
class Image:
    """What a stage has come to."""

    root: Path
    variables: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/local/bin"})
    directory: str = "/"
    user: str = "root"
    command: list[str] = field(default_factory=list)
    health_command: list[str] = field(default_factory=list)

    def inside(self, path: str) -> Path:
        """Find where a path of the image is on this machine."""
        return self.root / os.path.join(self.directory, path).lstrip("/")  # noqa: PTH118

    @property
    def environment(self) -> dict[str, str]:
        """All variables of a process in it."""
        inside = [str(self.inside(entry)) for entry in self.variables["PATH"].split(":")]
        path = ":".join([*inside, f"{sys.base_prefix}/bin", os.environ["PATH"]])
        return {**clean_variables(), **self.variables, "PATH": path}

    def follow(self, instruction: str, value: str) -> None:
        """Do an instruction that is about this stage alone.

        Raises:
            NotImplementedError: it is not known here.
        """
        match instruction:
            case "ENV":
                for pair in shlex.split(value):
                    name, _, text = pair.partition("=")
                    self.variables[name] = Template(text).substitute(self.variables)
            case "WORKDIR":
                self.directory = value
                self.inside(".").mkdir(parents=True, exist_ok=True)
            case "RUN":
                run("sh", "-c", value, cwd=self.inside("."), env=self.environment)
            case "USER":
                self.user = value
            case "HEALTHCHECK":
                self.health_command = json.loads(value.partition("CMD ")[2])
            case "CMD":
                self.command = json.loads(value)
            case "EXPOSE":
                pass
            case _:
                raise NotImplementedError(instruction)


def build(project: Path, place: Path) -> Image:
    """Do all that the Dockerfile says; of the stages only the last is left, as in an image.

    Args:
        project: whose Dockerfile, and what that may copy.
        place: an empty directory for the stages.

    Raises:
        NotImplementedError: an instruction is not known here.
    """
    stages: dict[str, Image] = {}
    image = Image(place)
    for instruction, value in read_dockerfile(project):
        if instruction == "FROM":
            name = value.partition(" AS ")[2] or "last"
            image = stages[name] = Image(place / name)
            image.root.mkdir()
        elif instruction == "COPY":
            _copy(project, stages, image, value)
        else:
            image.follow(instruction, value)
    for stage in stages.values():
        if stage is not image:
            shutil.rmtree(stage.root)
    return image


def _copy(project: Path, stages: dict[str, Image], image: Image, value: str) -> None:
    *sources, target = value.split()
    origin = sources.pop(0).removeprefix("--from=") if value.startswith("--from=") else ""
    for source in sources:
        if origin.startswith(UV_IMAGE):
            found = Path(uv.find_uv_bin())
        else:
            found = stages[origin].inside(source) if origin else project / source
        into = image.inside(target)
        into = into / found.name if target.endswith("/") else into
        into.parent.mkdir(parents=True, exist_ok=True)
        if found.is_dir():
            shutil.copytree(found, into, symlinks=True, ignore=None if origin else _held(project))
        else:
            assert origin or is_sent(project, found), f".dockerignore holds {source} back"
            shutil.copy(found, into)


def _held(project: Path) -> Callable[[str, list[str]], set[str]]:
    """Make the filter by which nothing is copied that .dockerignore holds back."""
    return lambda folder, names: {n for n in names if not is_sent(project, Path(folder, n))}
