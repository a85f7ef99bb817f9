"""Guess what testdb must know of a service, by reading its code without running it."""

import ast
import configparser
import re
import tomllib
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

APPS = ("FastAPI", "Flask", "Litestar", "Quart", "Starlette")
FRAMEWORKS = ("flask", "litestar")
"""Those that are tested by a client of their own; all others by Starlette's."""
ENGINES = ("create_engine", "create_async_engine")
MAKERS = ("sessionmaker", "async_sessionmaker", "scoped_session", "async_scoped_session")
SESSIONS = ("Session", "AsyncSession")
EXTENSIONS = ("SQLAlchemy",)
"""Flask-SQLAlchemy's, which has engine and sessions in it."""
FACTORIES = ("create_app", "make_app", "build_app", "get_app", "app_factory")
MADE_BY = {"app": APPS, "engine": ENGINES, "maker": MAKERS, "extension": EXTENSIONS}
NO_SERVICE = {
    *("tests", "test", "testdb", "tasks", "examples", "docs", "scripts", "alembic", "migrations"),
    *("src", "build", "dist", "node_modules", "venv", "env", ".venv", ".nox", ".tox"),
}
"""Folders that are no service, whatever they hold."""
_VARIABLE = re.compile(
    r"""(?:environ(?:\.get|\.setdefault)?|getenv)\s*[\[(]"""
    r"""\s*["'](\w*(?:DATABASE|DB|POSTGRES|PG|SQL)\w*(?:UR[IL]|DSN)\w*)["']"""
)
_SETTING = re.compile(
    r"^\s+(\w*(?:database|db|postgres|sqlalchemy)\w*(?:ur[il]|dsn))\s*:",
    re.IGNORECASE | re.MULTILINE,
)
PARTS = {
    "host": ("HOST", "HOSTNAME", "SERVER"),
    "port": ("PORT",),
    "database": ("NAME", "DB", "DATABASE"),
    "username": ("USER", "USERNAME"),
    "password": ("PASSWORD", "PASS"),
}
"""How the variables end that hold a part of a URL."""
SPELLED = {
    "host": 'url.host or NOWHERE.strip("/")',
    "port": "str(url.port or 5432)",
    "database": 'url.database or ""',
    "username": 'url.username or ""',
    "password": '""',
}
"""What the adapter sets them to."""
OF_PARTS = "TESTDB_MAIN_URL"
"""Has the URL for testdb, where the service takes it in parts."""
_OF_A_DATABASE = re.compile(r"(?:\w*_)?(?:DATABASE|DB|POSTGRES(?:QL)?|PG|SQL)(?:_\w+)?_([A-Z]+)")
_DRIVER = re.compile(r"\b(?:psycopg2|asyncpg|pg8000|aiopg)\b")
_PREFIX = re.compile(r"""env_prefix\s*=\s*["'](\w+)["']""")
_HEALTH = re.compile(r"""(?:get|route)\(\s*["'](/\w*(?:health|ping|ready|live)\w*)["']""")


FOR_TESTS = ("test", "tests", "testing", "dev")
"""Extras and dependency groups that tests may need."""
FOLDERS = ("unit", "integration", "e2e")


class GuessError(Exception):
    """There is nothing to begin with. The message is for a person."""


class Place(NamedTuple):
    """Where a name of the service is defined."""

    module: str
    name: str


@dataclass
class Service:
    """What the adapter says of a service; the templates of `files/` take these by name."""

    slug: str
    package: str
    """The folder of the package, or its one file, as seen from the root."""
    pythonpath: str
    install: list[str]
    """What nox installs besides, in the words of its noxfile.py."""
    folders: list[str]
    """Of tests, those that have a session of their own."""
    app: Place | None = None
    engine: Place | None = None
    factory: Place | None = None
    maker: Place | None = None
    extension: Place | None = None
    alembic_ini: str = "alembic.ini"
    migrations: str = "alembic"
    versions: str = "alembic/versions"
    variable: str = "DATABASE_URL"
    parts: dict[str, str] = field(default_factory=dict)
    """The variables for the parts of a URL, by what SQLAlchemy calls these."""
    health: str = "/"
    is_async: bool = False
    is_sqlmodel: bool = False
    framework: str = "starlette"
    not_found: list[str] = field(default_factory=list)
    """What the owner must say, as the end of a sentence."""


def guess(root: Path, package: str | None) -> Service:
    """Read the service in a folder.

    Raises:
        GuessError: it has no package, several, or not the one that is named.
    """
    path = find_package(root, package)
    source = path.parent
    text = "\n".join(map(read, python_files(path)))
    found = dict(find_places(path, source))
    service = Service(
        slug=slug_of(root),
        package=path.relative_to(root).as_posix(),
        pythonpath="." if source == root else f". {source.relative_to(root)}",
        install=install_of(root),
        folders=[name for name in FOLDERS if (root / "tests" / name).is_dir()],
        app=found.get("app"),
        engine=found.get("engine"),
        factory=found.get("factory"),
        maker=found.get("maker"),
        extension=found.get("extension"),
        is_async="create_async_engine" in text,
        is_sqlmodel="sqlmodel" in text,
    )
    for framework in FRAMEWORKS:
        if re.search(rf"^\s*(?:from|import) {framework}\b", text, re.MULTILINE):
            service.framework = framework
    if not found.keys() & {"app", "factory"}:
        service.not_found.append("say in `load_app` where the application is")
    if not found.keys() & {"engine", "maker", "extension"}:
        service.not_found.append("say in `session` where the service has its sessions from")
    if variable := find_variable(text):
        service.variable = variable
    elif parts := find_parts(path):
        service.variable, service.parts = OF_PARTS, parts
    else:
        service.not_found.append(
            "say in URL_VARIABLE which variable has the URL of the database; or in `environment`, "
            "which have its parts"
        )
    if health := _HEALTH.search(text):
        service.health = health[1]
    elif service.framework == "starlette":
        service.health = "/openapi.json"
    else:
        service.not_found.append("say in HEALTH which path answers when the service is ready")
    read_alembic(root, service)
    return service


def find_package(root: Path, package: str | None) -> Path:
    """Find the folder of the package, or the module that is all of the service."""
    sources = [folder for folder in (root / "src", root) if folder.is_dir()]
    if package:
        for source in sources:
            for path in (source / package.replace(".", "/"), source / f"{package}.py"):
                if path.exists():
                    return path
        msg = f"There is no package {package} in {root}, and none in src/."
        raise GuessError(msg)
    found: set[Path] = set()
    for having in ("*/__init__.py", "*/*.py"):
        if not found:
            found = {path.parent for source in sources for path in source.glob(having)}
            found = {folder for folder in found if folder.name not in NO_SERVICE}
    if not found and (root / "app.py").exists():
        return root / "app.py"
    if len(found) != 1:
        names = ", ".join(sorted(path.name for path in found)) or "no package"
        msg = f"{root} has {names}. Name the one that is the service: --package NAME."
        raise GuessError(msg)
    return found.pop()


def python_files(path: Path) -> list[Path]:
    """List the code of a package, what is nearest to its root first."""
    if path.is_file():
        return [path]
    files = [file for file in path.rglob("*.py") if file.is_file()]
    return sorted(files, key=lambda file: (len(file.parts), file))


def find_places(path: Path, source: Path) -> Iterator[tuple[str, Place]]:
    """Find where the app, its factory, the engine and the session factory are defined.

    The nearest to the package's root comes last, so that a dict has that.
    """
    for file in reversed(python_files(path)):
        parts = file.relative_to(source).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        for node in parse(file).body:
            match node:
                case ast.FunctionDef(name=name) if name in FACTORIES and not _required(node):
                    yield "factory", Place(module, name)
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=called)) | (
                    ast.AnnAssign(target=ast.Name(id=name), value=ast.Call(func=called))
                ):
                    for kind, makers in MADE_BY.items():
                        if ast.unparse(called).rpartition(".")[2] in makers:
                            yield kind, Place(module, name)


def parse(file: Path) -> ast.Module:
    """Parse a file; what cannot be parsed has nothing in it."""
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # ValueError: a null byte, before Python 3.12
        return ast.Module([], [])


def _required(function: ast.FunctionDef) -> bool:
    """Tell whether a function cannot be called without arguments."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    return len(positional) > len(arguments.defaults) or None in arguments.kw_defaults


def find_variable(text: str) -> str | None:
    """Find the variable that holds the URL of the database."""
    if read := _VARIABLE.search(text):
        return read[1]
    if setting := _SETTING.search(text):
        prefix = _PREFIX.search(text)
        return f"{prefix[1] if prefix else ''}{setting[1]}".upper()
    return None


def find_parts(path: Path) -> dict[str, str]:
    """Find the variables for the parts of a URL, if one has the name of the database."""
    found: dict[str, str] = {}
    for name in (name for file in python_files(path) for name in _variables(parse(file))):
        if named := _OF_A_DATABASE.fullmatch(name):
            for part, endings in PARTS.items():
                if named[1] in endings:
                    found.setdefault(part, name)
    return {part: found[part] for part in PARTS if part in found} if "database" in found else {}


def _variables(tree: ast.Module) -> Iterator[str]:
    """Name the variables that are read from the environment, by a call or by settings."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(args=[ast.Constant(value=str(name)), *_]):
                yield name
            case ast.Subscript(value=of, slice=ast.Constant(value=str(name))):
                if "environ" in ast.unparse(of):
                    yield name
            case ast.ClassDef(bases=bases, body=body):
                if any("Settings" in ast.unparse(base) for base in bases):
                    prefix = _PREFIX.search(ast.unparse(node))
                    for line in body:
                        match line:
                            case ast.AnnAssign(target=ast.Name(id=name)):
                                yield f"{prefix[1] if prefix else ''}{name}".upper()


def find_drivers(root: Path, service: Service) -> list[str]:
    """Name the drivers other than psycopg 3 that a project names, each with the first file."""
    files = [
        *python_files(root / service.package),
        *(root / service.migrations).glob("*.py"),
        root / service.alembic_ini,
        root / "pyproject.toml",
        *sorted(root.glob("requirements*.txt")),
    ]
    found: dict[str, str] = {}
    for file in files:
        for number, line in enumerate(read(file).splitlines(), 1):
            for driver in _DRIVER.findall(line):
                found.setdefault(driver, f"{driver} in {file.relative_to(root)}:{number}")
            if service.parts and "postgresql://" in line:  # SQLAlchemy 2.0 takes psycopg2 there
                found.setdefault("", f"postgresql:// in {file.relative_to(root)}:{number}")
    return list(found.values())


def find_fixtures(path: Path, ours: AbstractSet[str]) -> tuple[list[str], int | None]:
    """Find the fixtures of a conftest.py that stand in for those of testdb.

    Args:
        path: of the conftest.py.
        ours: the names of testdb's.

    Returns:
        Those with such a name, and those that make an engine or a session of their own; and the
        first line that makes an engine.
    """
    tree = parse(path)
    shared: set[str] = set()
    fixtures = []
    for node in tree.body:
        calls = {name for name, _ in _calls(node)}
        names = [name for name in ast.walk(node) if isinstance(name, ast.Name)]
        used = {name.id for name in names}
        if isinstance(node, ast.Assign | ast.AnnAssign) and calls & {*ENGINES, *MAKERS}:
            shared |= {name.id for name in names if isinstance(name.ctx, ast.Store)}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in map(ast.unparse, node.decorator_list):
                if "fixture" in decorator:
                    given = re.search(r"\bname='(\w+)'", decorator)
                    name = given[1] if given else node.name
                    if calls & {*ENGINES}:
                        shared.add(name)
                    if name in ours or calls & {*ENGINES, *MAKERS, *SESSIONS} or used & shared:
                        fixtures.append(name)
    lines = [line for name, line in _calls(tree) if name in ENGINES]
    return fixtures, min(lines, default=None)


def _calls(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Name what is called, with the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func).rpartition(".")[2], node.lineno


def read_alembic(root: Path, service: Service) -> None:
    """Read where the migrations are.

    Raises:
        GuessError: alembic.ini cannot be read.
    """
    ini = next(
        (path for at in ("", "*/", "src/*/") for path in root.glob(f"{at}alembic.ini")), None
    )
    if ini is None:
        service.not_found.append("say in ALEMBIC_INI and MIGRATIONS where Alembic's files are")
        return
    service.alembic_ini = ini.relative_to(root).as_posix()
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read(ini))
    except configparser.Error as error:
        msg = f"{ini} cannot be read: {error.message.splitlines()[0]}"
        raise GuessError(msg) from None

    def folder(text: str) -> Path:
        return (root / text.replace("%(here)s", str(ini.parent))).resolve()

    migrations = folder(parser.get("alembic", "script_location", fallback="%(here)s"))
    listed = re.split(r"[\s,:;]+", parser.get("alembic", "version_locations", fallback=""))
    versions = [folder(text) for text in listed if text] or [migrations / "versions"]
    if migrations.is_relative_to(root) and versions[0].is_relative_to(root):
        service.migrations = migrations.relative_to(root).as_posix()
        service.versions = versions[0].relative_to(root).as_posix()
    if len(versions) > 1:
        service.not_found.append(
            f"see VERSIONS: alembic.ini lists {len(versions)} folders of migrations, and testdb "
            "takes them from one"
        )


def slug_of(root: Path) -> str:
    """Name the project, in every clone alike where that can be: it owns its databases by that."""
    name = read_pyproject(root).get("project", {}).get("name", root.name)
    return re.sub(r"[^a-z0-9]+", "-", str(name).lower()).strip("-")[:40].strip("-") or "service"


def install_of(root: Path) -> list[str]:
    """Say what nox installs of the project, in the words of its noxfile.py."""
    pyproject = read_pyproject(root)
    if "build-system" in pyproject:
        extras = pyproject.get("project", {}).get("optional-dependencies", {})
        chosen = ",".join(name for name in extras if name in FOR_TESTS)
        return [f'"--editable=.{f"[{chosen}]" if chosen else ""}"']
    if "project" in pyproject:
        groups = [name for name in pyproject.get("dependency-groups", {}) if name in FOR_TESTS]
        named = "".join(f', "{name}"' for name in groups)
        return [
            '*PYPROJECT["project"].get("dependencies", [])',
            *([f"*nox.project.dependency_groups(PYPROJECT{named})"] if groups else []),
        ]
    return [f'"--requirement={path.name}"' for path in sorted(root.glob("requirements*.txt"))]


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
