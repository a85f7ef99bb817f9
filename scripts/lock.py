"""Renew what the template knows of the packages that a generated project depends on.

That is its uv.lock, and in hooks/pre_gen_project.py the names that no project can have. Options go
to `uv lock`; without any, it takes the newest version of every package.
"""

import json
import re
import sys
import textwrap
import tomllib
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import stdlibs
import uv

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))

from harness.baking import bake  # noqa: E402  the template's tests have what bakes it
from harness.environment import clean_variables  # noqa: E402
from harness.outcome import run  # noqa: E402

HOOK: Final = ROOT / "hooks" / "pre_gen_project.py"
LOCK: Final = ROOT / "<<cookiecutter.project_slug>>" / "uv.lock"
PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")
"""Those that a generated project supports."""
LIST_MODULES: Final = """
import importlib.metadata, json
print(json.dumps(list(importlib.metadata.packages_distributions())))
"""


def main(*options: str) -> None:
    """Write the lock and the names."""
    with TemporaryDirectory() as directory:
        project, tool, variables = bake(Path(directory)), uv.find_uv_bin(), clean_variables()
        run(tool, "lock", *(options or ["--upgrade"]), cwd=project, env=variables)
        run(tool, "sync", "--no-install-project", cwd=project, env=variables)
        lock = (project / "uv.lock").read_text()
        names = {
            "DISTRIBUTIONS": distributions(lock) - {project.name},
            "MODULES": modules(project / ".venv" / "bin" / "python"),
        }
    name = f'\nname = "{project.name}"\n'
    LOCK.write_text(lock.replace(name, '\nname = "<< cookiecutter.project_slug >>"\n'))
    text = HOOK.read_text()
    for constant, found in names.items():
        text = re.sub(f'(?s)(?<=\n{constant} = """\n).*?(?="""\n)', spell(found), text, count=1)
    HOOK.write_text(text)


def distributions(lock: str) -> set[str]:
    """Name the distributions in a lock."""
    return {package["name"] for package in tomllib.loads(lock)["package"]}


def modules(python: Path) -> set[str]:
    """Name what an environment's distributions make importable, and what only some Pythons have.

    Names that no package can have are left out: the hook refuses those by their spelling.
    """
    listed = run(python, "-c", LIST_MODULES, cwd=ROOT, env=clean_variables()).stdout
    standard = [set(stdlibs.stdlib_module_names(version)) for version in PYTHONS]
    some = set.union(*standard) - set.intersection(*standard)
    return {
        name for name in some.union(json.loads(listed)) if re.fullmatch("[a-z][a-z0-9_]*", name)
    }


def spell(names: Iterable[str]) -> str:
    """Write names as lines that the formatter leaves alone."""
    return textwrap.fill(" ".join(sorted(names)), 100, break_on_hyphens=False) + "\n"


if __name__ == "__main__":
    main(*sys.argv[1:])
