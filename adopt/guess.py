"""Guess what testdb must know of a service, by reading its code without running it."""

import ast
import configparser
import os
import re
import tomllib
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from keyword import iskeyword
from pathlib import Path
from typing import Any, NamedTuple

APPS = ("FastAPI", "Flask", "Litestar", "Starlette")
APP_NAMES = ("app", "application")
FRAMEWORKS = ("flask", "litestar")
"""Those that are tested by a client of their own; all others by Starlette's."""
ENGINES = ("create_engine", "create_async_engine")
MAKERS = ("sessionmaker", "async_sessionmaker", "scoped_session", "async_scoped_session")
SESSIONS = ("Session", "AsyncSession")
FACTORIES = ("create_app", "make_app", "build_app", "get_app", "app_factory")
MADE_BY = {
    "app": APPS,
    "extension": ("SQLAlchemy",),  # Flask-SQLAlchemy's, which has engine and sessions in it
    "async maker": ("async_sessionmaker", "async_scoped_session"),
    "async engine": ("create_async_engine",),
    "maker": ("sessionmaker", "scoped_session"),
    "engine": ("create_engine",),
}
"""What the code calls to make each kind; of those that give sessions, the best comes first."""
_ASYNC_SESSIONS = re.compile(r"\bclass_=[\w.]*Async")
NO_SERVICE = {
    *("tests", "test", "testdb", "tasks", "examples", "docs", "scripts", "alembic", "migrations"),
    *("src", "build", "dist", "node_modules", "venv", "env", ".venv", ".nox", ".tox"),
}
"""Folders that are no service, whatever they hold."""
_READ = re.compile(r"(?:^|[._])(?:get)?env|(?:^|\.)config$", re.IGNORECASE)
"""What a variable is read by: os.environ, getenv, and the env() and config() of libraries."""
_URL = re.compile(
    r"\w*(?:DATABASE|DB|POSTGRES(?:QL)?|PG|SQL(?:ALCHEMY)?)(?:_\w+)?_?(?:UR[IL]|DSN)(?:_\w+)?"
)
_OTHER_SERVERS = re.compile(
    r"MONGO|INFLUX|CLICKHOUSE|REDIS|MYSQL|MARIADB|MSSQL|ORACLE|SQLITE|ELASTIC|CASSANDRA|CELERY"
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
_PREFIX = re.compile(r"\benv_prefix'?\s*[=:]\s*(?:'(\w*)')?")
_CASE_SENSITIVE = re.compile(r"\bcase_sensitive'?\s*[=:]\s*True")
ROUTES = ("get", "route", "api_route", "Route", "add_route", "add_api_route", "add_url_rule")
_HEALTH = re.compile(r"/(?:healthz?|health[-_]?check|ping|readyz?|livez?)/?")
_ROUTED_BELOW = re.compile(r"\b(?:url_)?prefix\s*=|\b[mM]ount\(|\bRouter\(|\(Controller\)")
"""A path may begin with more than its decorator says."""


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
    has_toml: bool = False
    """Whether pyproject.toml has options of Alembic."""
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
    name_what_nox_lacks(root, service)
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


def python_files(path: Path) -> list[Path]:
    """List the code of a package without its tests, what is nearest to its root first."""
    if path.is_file():
        return [path]
    files = [file for file in path.rglob("*.py") if file.is_file()]
    code = [file for file in files if not _is_test(file.relative_to(path))]
    return sorted(code, key=lambda file: (len(file.parts), file))


def _is_test(file: Path) -> bool:
    """Tell whether a file of a package is one of its tests."""
    in_tests = {"tests", "test"} & {*file.parts}
    return bool(in_tests) or file.name == "conftest.py" or file.name.startswith("test_")


def module_of(file: Path) -> str | None:
    """Name the module in a file, as seen from the folder it is imported from, if it can be."""
    parts = file.with_suffix("").parts
    if any(not part.isidentifier() or iskeyword(part) for part in parts):
        return None
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def find_places(code: dict[Path, ast.Module]) -> dict[str, list[Place]]:
    """Find what is defined in modules: by its kind, what is nearest to the package's root first."""
    found: dict[str, list[Place]] = {kind: [] for kind in ("factory", *MADE_BY)}
    for file, tree in code.items():
        module = module_of(file)
        for node in tree.body if module else ():
            match node:
                case ast.FunctionDef(name=name) if name in FACTORIES and not _required(node):
                    found["factory"].append(Place(module, name))
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call) | (
                    ast.AnnAssign(target=ast.Name(id=name), value=ast.Call() as call)
                ):
                    if kind := _kind(call):
                        found[kind].append(Place(module, name))
    return found


def _kind(call: ast.Call) -> str | None:
    """Say what a call makes."""
    made_by = _name(call)
    kind = next((kind for kind, makers in MADE_BY.items() if made_by in makers), None)
    return "async maker" if kind == "maker" and _ASYNC_SESSIONS.search(ast.unparse(call)) else kind


def _name(call: ast.Call) -> str:
    """Name what is called, without where it is from and what it is generic in."""
    func = call.func.value if isinstance(call.func, ast.Subscript) else call.func
    return ast.unparse(func).rpartition(".")[2]


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


def find_variables(code: list[ast.Module]) -> list[str]:
    """Find the variables that hold the URL of a database, the most likely first."""
    read = [name for name in _read_variables(code) if _URL.fullmatch(name.upper())]
    settings = [
        name
        for name, line in _settings(code)
        if any(_URL.fullmatch(spelled.upper()) for spelled in (name, ast.unparse(line.target)))
        or "PostgresDsn" in ast.unparse(line.annotation)
    ]
    found = dict.fromkeys((*read, *settings))
    return [name for name in found if not _OTHER_SERVERS.search(name.upper())]


def find_parts(code: list[ast.Module]) -> dict[str, str]:
    """Find the variables for the parts of a URL, if one has the name of the database."""
    found: dict[str, str] = {}
    for name in (*_read_variables(code), *(name for name, _ in _settings(code))):
        named = _OF_A_DATABASE.fullmatch(name)
        if named and not _OTHER_SERVERS.search(name):
            for part, endings in PARTS.items():
                if named[1] in endings:
                    found.setdefault(part, name)
    return {part: found[part] for part in PARTS if part in found} if "database" in found else {}


def _read_variables(code: list[ast.Module]) -> Iterator[str]:
    """Name the variables that code reads from the environment."""
    for node in (node for tree in code for node in ast.walk(tree)):
        match node:
            case ast.Call(func=by, args=[ast.Constant(value=str(name)), *_]):
                if _READ.search(ast.unparse(by)):
                    yield name
            case ast.Subscript(value=of, slice=ast.Constant(value=str(name)), ctx=ast.Load()):
                if "environ" in ast.unparse(of):
                    yield name


def _settings(code: list[ast.Module]) -> Iterator[tuple[str, ast.AnnAssign]]:
    """Name the variables that pydantic's settings are read from, each with its line."""
    nodes = [node for tree in code for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    classes = {node.name: node for node in nodes}
    for node in nodes:
        lineage = [node]
        for each in lineage:  # grows
            bases = [classes.get(ast.unparse(base).rpartition(".")[2]) for base in each.bases]
            lineage += [base for base in bases if base and base not in lineage]
        if not any("Settings" in ast.unparse(base) for each in lineage for base in each.bases):
            continue
        text = "\n".join(map(ast.unparse, lineage))
        prefix = _PREFIX.search(text)
        if prefix and prefix[1] is None:
            continue  # known once it runs
        for line in (line for each in lineage for line in each.body):
            match line:
                case ast.AnnAssign(target=ast.Name(id=name)):
                    name = _alias(line) or f"{prefix[1] if prefix else ''}{name}"
                    yield name if _CASE_SENSITIVE.search(text) else name.upper(), line


def _alias(line: ast.AnnAssign) -> str | None:
    """Read the variable that a setting names itself."""
    given = {node.arg: node.value for node in ast.walk(line) if isinstance(node, ast.keyword)}
    match given.get("validation_alias", given.get("alias")):
        case ast.Constant(value=str(name)) | (
            ast.Call(args=[ast.Constant(value=str(name)), *_])  # AliasChoices
        ):
            return name
    return None


def find_mounted(code: list[ast.Module]) -> set[str]:
    """Name the applications that others have below a path of theirs."""
    calls = [node for tree in code for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {
        given.id
        for call in calls
        if _name(call) in ("mount", "Mount")
        for given in (*call.args, *(keyword.value for keyword in call.keywords))
        if isinstance(given, ast.Name)
    }


def find_health(code: dict[Path, ast.Module], service: Service, *, is_plain: bool) -> str | None:
    """Find a path that answers when the service is ready.

    Args:
        code: of the service.
        service: which of its applications is the one to ask is known.
        is_plain: no path begins with more than its decorator says.
    """
    for file, tree in code.items():
        module, apps = module_of(file), {*_apps(tree)}
        if service.factory:
            own = apps - find_mounted([tree]) if module == service.factory.module else set()
        else:
            own = {name for name in apps if (module, name) == service.app}
        for call in _routes(tree):
            match call:
                case ast.Call(func=by, args=[ast.Constant(value=str(path)), *_]):
                    on = ast.unparse(by).rpartition(".")[0]
                    if _HEALTH.fullmatch(path) and (on in own or (is_plain and on not in apps)):
                        return path
    calls = [
        call for tree in code.values() for call in ast.walk(tree) if isinstance(call, ast.Call)
    ]
    made = [call for call in calls if _kind(call) == "app"]
    given = {keyword.arg for call in made for keyword in call.keywords}
    is_usual = {_name(call) for call in made} == {"FastAPI"} and not given & {"openapi_url", None}
    return "/openapi.json" if is_usual else None


def _apps(tree: ast.Module) -> Iterator[str]:
    """Name the applications that a module makes, in functions too."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call) | (
                ast.AnnAssign(target=ast.Name(id=name), value=ast.Call() as call)
            ) if _kind(call) == "app":
                yield name


def _routes(tree: ast.Module) -> Iterator[ast.Call]:
    """List the calls that give a function a path: decorators, and those that name it in full."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(decorator_list=calls) | ast.AsyncFunctionDef(decorator_list=calls):
                yield from (
                    call for call in calls if isinstance(call, ast.Call) and _name(call) in ROUTES
                )
            case ast.Call() if _name(node) in ROUTES and _name(node) not in ("get", "route"):
                yield node


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
            yield _name(node), node.lineno


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


def name_what_nox_lacks(root: Path, service: Service) -> None:
    """Say what the project needs, and noxfile.py cannot read."""
    tools = read_pyproject(root).get("tool", {})
    unread = [
        f"tool.{tool}.{table}"
        for tool, tables in UNREAD.items()
        for table in tables
        if table in tools.get(tool, {})
    ]
    if unread:
        service.not_found.append(
            "add to REQUIREMENTS in noxfile.py what your tests need: it does not read "
            + " and ".join(unread)
        )
    elif not service.install:
        service.not_found.append("add to REQUIREMENTS in noxfile.py what the service needs")


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
