"""The chain of migrations: every file is complete, has a revision of its own, and one head ends it.

Alembic would say much of this with a traceback, or with a warning, and without the file.
"""

import ast
from pathlib import Path
from typing import Any, Final

from alembic.script import ScriptDirectory

from testdb.adapter import alembic_command, alembic_config, versions
from testdb.identity.errors import LifecycleError, shorten
from testdb.runs.migration_errors import one_message

REQUIRED: Final = ("revision", "down_revision", "upgrade", "downgrade")


def check_revisions(logical: str) -> None:
    """Make sure that the migrations of a logical database are one chain.

    Raises:
        LifecycleError: they are not. The message names the file.
    """
    found: dict[Any, Path] = {}
    parents: dict[Path, Any] = {}
    with one_message(logical):
        script = ScriptDirectory.from_config(alembic_config(logical))
        pattern = "**/*.py" if script.recursive_version_locations else "*.py"
        for path in sorted(versions(logical).glob(pattern)):
            if path.name.startswith(("__init__", ".#")):  # as Alembic does
                continue
            defined = _read(path)
            if missing := ", ".join(name for name in REQUIRED if name not in defined):
                msg = f"{shorten(path)} lacks {missing}. Add it; every migration has these."
                raise LifecycleError(msg)
            other = found.setdefault(defined["revision"], path)
            if other != path:
                msg = (
                    f"{shorten(other)} and {shorten(path)} have the same revision, "
                    f"{defined['revision']!r}. Give one of them another."
                )
                raise LifecycleError(msg)
            parents[path] = defined["down_revision"]
        for path, parent in parents.items():
            for revision in parent if isinstance(parent, tuple) else (parent,):
                if revision is not None and revision not in found:
                    msg = (
                        f"{shorten(path)} comes after the revision {revision!r}, which no file "
                        "has. Correct its down_revision."
                    )
                    raise LifecycleError(msg)
        heads = script.get_heads()
    if len(heads) > 1:
        files = ", ".join(shorten(found[head]) for head in heads)
        msg = (
            f"The migrations of the logical database {logical} have {len(heads)} heads: {files}. "
            "Set the down_revision of one to the revision of another, or merge them:\n"
            f'{alembic_command(logical)} merge heads --message "merge"'
        )
        raise LifecycleError(msg)


def _read(path: Path) -> dict[str, Any]:
    """Read what a migration defines, without running it; of values, the two that name revisions.

    Raises:
        SyntaxError: it is no Python.
        ValueError: such a value is computed.
    """
    defined: dict[str, Any] = {}
    for node in ast.parse(path.read_bytes(), str(path)).body:
        match node:
            case ast.FunctionDef(name=name):
                defined[name] = None
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                defined[name] = None
                if node.value and name in ("revision", "down_revision"):
                    defined[name] = ast.literal_eval(node.value)
    return defined
