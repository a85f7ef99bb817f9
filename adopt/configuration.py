"""Read what a project says of itself outside of its code: to Alembic, pip, uv and nox."""

import configparser
import os
import re
import tomllib
from pathlib import Path
from typing import Any

from service import GuessError, Service

FOR_TESTS = ("test", "tests", "testing", "dev")
"""Extras and dependency groups that tests may need."""
SEPARATORS = {"space": " ", "newline": "\n", "os": re.escape(os.pathsep), ":": ":", ";": ";"}
"""Of the folders in one option, by what `path_separator` in alembic.ini calls them."""
UNREAD = {
    "poetry": ("group", "dev-dependencies"),
    "hatch": ("envs",),
    "pdm": ("dev-dependencies",),
    "uv": ("dev-dependencies",),
}
"""Tables of tools that nox knows nothing of, and that tests may need."""


def read_alembic(root: Path, source: Path, service: Service) -> None:
    """Read where the migrations are.

    Raises:
        GuessError: alembic.ini cannot be read.
    """
    in_toml = read_pyproject(root).get("tool", {}).get("alembic", {})
    levels = [sorted(root.glob(f"{at}alembic.ini")) for at in ("", "*/", "src/*/")]
    inis = next(filter(None, levels), [root / "pyproject.toml"] if in_toml else [])
    if not inis:
        service.not_found.append("say in ALEMBIC_INI and MIGRATIONS where Alembic's files are")
        return
    names = [ini.relative_to(root).as_posix() for ini in inis]
    if len(names) > 1:
        service.not_found.append(f"see ALEMBIC_INI: found were {', '.join(names)}")
    ini, service.alembic_ini, service.has_toml = inis[0], names[0], bool(in_toml)
    options = in_toml | (read_ini(ini) if ini.suffix == ".ini" else {})

    folders, sources = (root, ini.parent), (source, root / "src", root)
    location = options.get("script_location") or str(ini.parent)
    migrations = find_folder(location, folders, sources)
    listed = options.get("version_locations") or []
    if isinstance(listed, str):
        separator = options.get("path_separator") or options.get("version_path_separator")
        listed = re.split(SEPARATORS.get(separator, r"[,\s]+"), listed)
    versions = [find_folder(text.strip(), folders, sources) for text in listed if text.strip()]
    if root in migrations.parents:
        service.migrations = migrations.relative_to(root).as_posix()
        service.versions = f"{service.migrations}/versions"
    if root not in migrations.parents or not (migrations / "env.py").is_file():
        service.not_found.append("say in MIGRATIONS where env.py is")
    if versions and root in versions[0].parents:
        service.versions = versions[0].relative_to(root).as_posix()
    elif versions:
        service.not_found.append("say in VERSIONS where the migrations are")
    if len(versions) > 1:
        service.not_found.append(
            f"see VERSIONS: {service.alembic_ini} lists {len(versions)} folders of migrations, and "
            "testdb takes them from one"
        )


def find_folder(text: str, folders: tuple[Path, ...], sources: tuple[Path, ...]) -> Path:
    """Find a folder that Alembic is given.

    Args:
        text: its path, or a package and the path in that: `orders.db:migrations`.
        folders: that the path may start from; the first has pyproject.toml.
        sources: that the package may be in.
    """
    text = text.replace("%(here)s", str(folders[0]))
    package, colon, below = text.partition(":")
    if colon and not package.startswith("/"):
        text, folders = "/".join((*package.split("."), *below.split(":"))), sources
    places = [folder / text for folder in folders]
    return next((place for place in places if place.is_dir()), places[0]).resolve()


def read_ini(ini: Path) -> dict[str, str]:
    """Read the options of Alembic in an alembic.ini.

    Raises:
        GuessError: it cannot be read.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read(ini))
    except configparser.Error as error:
        msg = f"{ini} cannot be read: {error.message.splitlines()[0]}"
        raise GuessError(msg) from None
    options = parser.items("alembic") if parser.has_section("alembic") else ()
    return {name: value.replace("%(here)s", str(ini.parent)) for name, value in options}


def slug_of(root: Path) -> str:
    """Name the project, in every clone alike where that can be: it owns its databases by that."""
    pyproject = read_pyproject(root)
    tables = (pyproject.get("project", {}), pyproject.get("tool", {}).get("poetry", {}))
    name = next((table["name"] for table in tables if "name" in table), root.name)
    return re.sub(r"[^a-z0-9]+", "-", str(name).lower()).strip("-")[:40].strip("-") or "service"


def install_of(root: Path) -> list[str]:
    """Say what nox installs of the project, in the words of its noxfile.py."""
    pyproject = read_pyproject(root)
    project = pyproject.get("project", {})
    extras = [name for name in project.get("optional-dependencies", {}) if name in FOR_TESTS]
    groups = [name for name in pyproject.get("dependency-groups", {}) if name in FOR_TESTS]
    if "build-system" in pyproject:
        chosen = f"[{','.join(extras)}]" if extras else ""
        install = [f'"--editable=.{chosen}"']
    elif project:
        of_project = 'PYPROJECT["project"]'
        install = [
            f'*{of_project}.get("dependencies", [])',
            *(f'*{of_project}["optional-dependencies"]["{name}"]' for name in extras),
        ]
    else:
        install = [
            f'"--requirement={path.name}"' for path in sorted(root.glob("requirements*.txt"))
        ]
    if groups:
        named = "".join(f', "{name}"' for name in groups)
        install.append(f"*nox.project.dependency_groups(PYPROJECT{named})")
    return install


def not_installed_of(root: Path) -> str | None:
    """Say what the project needs, and nox does not install."""
    tools = read_pyproject(root).get("tool", {})
    unread = [
        f"tool.{tool}.{table}"
        for tool, tables in UNREAD.items()
        for table in tables
        if table in tools.get(tool, {})
    ]
    if unread:
        return (
            "To REQUIREMENTS in noxfile.py, add what your tests need: it does not read "
            + " and ".join(unread)
        )
    if not install_of(root):
        return "To REQUIREMENTS in noxfile.py, add what the service needs"
    return None


def read(path: Path) -> str:
    """Read a file of the owner's, in whatever encoding; what is no file has no text."""
    return path.read_text("utf-8-sig", "replace") if path.is_file() else ""


def read_pyproject(root: Path) -> dict[str, Any]:
    """Read what pyproject.toml says; nothing where there is none.

    Raises:
        GuessError: it cannot be read.
    """
    path = root / "pyproject.toml"
    try:
        return tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
    except ValueError as error:
        msg = f"{path} cannot be read: {error}."
        raise GuessError(msg) from None
