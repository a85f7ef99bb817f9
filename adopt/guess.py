"""Guess what testdb must know of a service: what its code and its configuration say together."""

import re
from collections.abc import Set as AbstractSet
from pathlib import Path

from configuration import install_of, not_installed_of, read, read_alembic, slug_of
from service import GuessError, Place, Service
from syntax import (
    FACTORIES,
    MADE_BY,
    find_health,
    find_mounted,
    find_parts,
    find_places,
    find_variables,
    parse,
    python_files,
)

APP_NAMES = ("app", "application")
FRAMEWORKS = ("flask", "litestar")
"""Those that are tested by a client of their own; all others by Starlette's."""
NO_SERVICE = {
    *("tests", "test", "testdb", "tasks", "examples", "docs", "scripts", "alembic", "migrations"),
    *("src", "build", "dist", "node_modules", "venv", "env", ".venv", ".nox", ".tox"),
}
"""Folders that are no service, whatever they hold."""
OF_PARTS = "TESTDB_MAIN_URL"
"""Has the URL for testdb, where the service takes it in parts."""
_ROUTED_BELOW = re.compile(r"\b(?:url_)?prefix\s*=|\b[mM]ount\(|\bRouter\(|\(Controller\)")
"""A path may begin with more than its decorator says."""
FOLDERS = ("unit", "integration", "e2e")


def guess(root: Path, package: str | None) -> Service:
    """Read the service in a folder.

    Raises:
        GuessError: it has no package, several, or not the one that is named; or a file of settings
            cannot be read.
    """
    path, source = find_package(root, package)
    files = python_files(path)
    text = "\n".join(map(read, files))
    code = {file.relative_to(source): parse(file) for file in files}
    trees = list(code.values())
    service = Service(
        slug=slug_of(root),
        package=path.relative_to(root).as_posix(),
        pythonpath="." if source == root else f". {source.relative_to(root)}",
        install=install_of(root),
        not_installed=not_installed_of(root),
        folders=[name for name in FOLDERS if (root / "tests" / name).is_dir()],
        is_async="create_async_engine" in text,
        is_sqlmodel="sqlmodel" in text,
    )
    for framework in FRAMEWORKS:
        if re.search(rf"^\s*(?:from|import) {framework}\b", text, re.MULTILINE):
            service.framework = framework
    choose(find_places(code), find_mounted(trees), service)
    if variables := find_variables(trees):
        service.variable = variables[0]
        if len(variables) > 1:
            service.not_found.append(f"see URL_VARIABLE: found were {', '.join(variables)}")
    elif parts := find_parts(trees):
        service.variable, service.parts = OF_PARTS, parts
    else:
        service.not_found.append(
            "say in URL_VARIABLE which variable has the URL of the database; or in `environment`, "
            "which have its parts"
        )
    if health := find_health(code, service, is_plain=not _ROUTED_BELOW.search(text)):
        service.health = health
    else:
        service.not_found.append("say in HEALTH which path answers when the service is ready")
    read_alembic(root, source, service)
    return service


def find_package(root: Path, package: str | None) -> tuple[Path, Path]:
    """Find the folder of the package, or the module that is all of the service.

    Returns:
        It, and the folder that Python imports it from.

    Raises:
        GuessError: there is none, there are several, or not the one that is named.
    """
    sources = [folder for folder in (root / "src", root) if folder.is_dir()]
    if package:
        if not re.fullmatch(r"(?:[\w-]+/)*\w+(?:\.\w+)*", package):
            msg = (
                f"--package {package} is no package: name it as Python imports it (acme.billing), "
                "or its folder in the project (backend/app)."
            )
            raise GuessError(msg)
        folder, _, name = package.rpartition("/")
        for source in (source / folder for source in sources):
            path = source / name.replace(".", "/")
            for found in (path, path.with_suffix(".py")):
                if found.exists():
                    return found, source
        msg = f"There is no package {package} in {root}, and none in src/."
        raise GuessError(msg)
    packages: set[Path] = set()
    for having in ("*/__init__.py", "*/*.py"):
        if not packages:
            packages = {path.parent for source in sources for path in source.glob(having)}
            packages = {folder for folder in packages if folder.name not in NO_SERVICE}
    if not packages and (root / "app.py").exists():
        return root / "app.py", root
    if len(packages) != 1:
        names = ", ".join(sorted(path.name for path in packages)) or "no package"
        msg = f"{root} has {names}. Name the one that is the service: --package NAME."
        raise GuessError(msg)
    path = packages.pop()
    return path, path.parent


def choose(found: dict[str, list[Place]], mounted: AbstractSet[str], service: Service) -> None:
    """Choose the app and what gives sessions; name what was found where nothing says which."""

    def first(places: list[Place], where: str) -> Place:
        if len(places) > 1:
            names = ", ".join(map(".".join, places))
            service.not_found.append(f"see `{where}`: found were {names}")
        return places[0]

    apps = [app for app in found["app"] if app.name not in mounted]
    apps = [app for app in apps if app.name in APP_NAMES] or apps
    if factories := found["factory"]:
        best = min((factory.name for factory in factories), key=FACTORIES.index)
        named = [factory for factory in factories if factory.name == best]
        service.factory = first(named, "load_app")
    elif apps:
        service.app = first(apps, "load_app")
    else:
        service.not_found.append("say in `load_app` where the application is")
    kinds = [kind for kind in MADE_BY if kind != "app" and found[kind]]
    if kinds:
        service.is_async = kinds[0].startswith("async")
        setattr(service, kinds[0].removeprefix("async "), first(found[kinds[0]], "session"))
    else:
        service.not_found.append("say in `session` where the service has its sessions from")
