"""Bake the template, without a trace in anybody's home."""

import shutil
import tempfile
from pathlib import Path
from typing import Final

import pytest
from cookiecutter.main import cookiecutter

TEMPLATE: Final = Path(__file__).resolve().parents[2]


def bake(directory: Path, **answers: str) -> Path:
    """Bake a project into a directory; returns the project's own.

    Args:
        directory: where to.
        answers: to some of the prompts; the others have their defaults.

    Raises:
        FailedHookException: an answer was refused.
    """
    with tempfile.TemporaryDirectory() as home, pytest.MonkeyPatch.context() as patch:
        config = Path(home, "config.yaml")
        config.write_text(f"replay_dir: {home}\ncookiecutters_dir: {home}\n")
        patch.setattr(tempfile, "tempdir", home)  # Cookiecutter leaves the hooks that it ran there
        made = cookiecutter(
            str(TEMPLATE),
            no_input=True,
            extra_context=answers,
            output_dir=str(directory),
            config_file=str(config),
        )
    return Path(made)


def copy_template(directory: Path) -> Path:
    """Copy what is committed of the template, and what would be, into a directory."""
    made = (".git", ".nox", ".tools", ".venv", ".*_cache", "__pycache__", ".hypothesis")
    return Path(
        shutil.copytree(TEMPLATE, directory / "template", ignore=shutil.ignore_patterns(*made))
    )
