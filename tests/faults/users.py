"""Other users of the machine, whom root acts as; and what they find there."""

import os
import pwd
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from harness.project import Project, Variables

USER: Final = pwd.getpwnam("daemon").pw_uid
"""A user without privileges whom every system knows; root acts as it."""
NOBODY: Final = pwd.getpwnam("nobody").pw_uid
"""Whom root's server runs as; else a user like any other."""
UNKNOWN: Final = 54321
"""A user id that the system has no name for, as in many a container."""
CLOSED: Final = ("sh", "-c", 'umask 077; exec "$@"', "sh")
OPEN: Final = ("sh", "-c", 'umask 000; exec "$@"', "sh")
AS_ROOT: Final = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


def acting_as(uid: int) -> Sequence[str]:
    """Act as a user of this machine, who may do no more than any."""
    return f"setpriv --reuid {uid} --regid {uid} --clear-groups --".split()


def running_as(uid: int) -> Sequence[str]:
    """Act as a user who may also read what only root can: the environment, the baked project."""
    *command, end = acting_as(uid)
    may_read = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
    return (*command, *may_read, end)


AS_USER: Final = running_as(USER)


def as_user() -> Sequence[str]:
    """Act as an ordinary user; those who are one need not."""
    return AS_USER if os.geteuid() == 0 else ()


def give(path: Path) -> None:
    """Give a directory to the ordinary user."""
    path.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(path, USER, USER)


def without_a_home(project: Project, **variables: str) -> Variables:
    """Make variables that name no home for the server, and others."""
    found = {**project.variables(), "XDG_CACHE_HOME": "", **variables}
    del found["TESTDB_HOME"]
    return found


def mounting(*mounts: str) -> Sequence[str]:
    """Have the system's files look otherwise, for the program that follows and nobody else.

    Args:
        mounts: what to tell mount(8), each in a shell's words.
    """
    if subprocess.run(
        ["unshare", "--mount", "true"], check=False, stderr=subprocess.DEVNULL
    ).returncode:
        pytest.skip("we may not mount anything here")
    script = " && ".join(f"mount {how}" for how in mounts)
    return ("unshare", "--mount", "sh", "-c", f'{script} && exec "$@"', "sh")
