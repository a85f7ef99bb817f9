"""Find in the code of a service, without running it, what testdb must know of it."""

import ast
import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from keyword import iskeyword
from pathlib import Path

from service import Place, Service

APPS = ("FastAPI", "Flask", "Litestar", "Starlette")
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
_OF_A_DATABASE = re.compile(r"(?:\w*_)?(?:DATABASE|DB|POSTGRES(?:QL)?|PG|SQL)(?:_\w+)?_([A-Z]+)")
_PREFIX = re.compile(r"\benv_prefix'?\s*[=:]\s*(?:'(\w*)')?")
_CASE_SENSITIVE = re.compile(r"\bcase_sensitive'?\s*[=:]\s*True")
ROUTES = ("get", "route", "api_route", "Route", "add_route", "add_api_route", "add_url_rule")
_HEALTH = re.compile(r"/(?:healthz?|health[-_]?check|ping|readyz?|livez?)/?")


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
