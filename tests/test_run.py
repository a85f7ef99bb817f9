"""`./run` starts a project and runs the template's tests, with nothing but Python, pip and git."""

import ast
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import uuid
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from zipfile import ZipFile

import pytest

from harness.baking import TEMPLATE, copy_template
from harness.environment import clean_variables
from harness.outcome import Outcome, finish, run, start
from harness.parameters import SESSIONS
from harness.watching import MARK, wait_until_gone

NOX: Final = """
import json, os, sys
def main():
    print(json.dumps([os.getpid(), sys.argv[1:], os.environ.get("UV_CACHE_DIR")]))
"""
"""A nox that tells which process it is, what it was told, and where uv has its cache."""
OLD: Final = """
import runpy, sys
sys.version_info, sys.argv = (3, 9, 18), sys.argv[1:]
runpy.run_path("run", run_name="__main__")
"""
"""Has a Python take itself for an older one."""
OTHER: Final = """#!/bin/sh
[ "$1" = -c ] && exec {works}
echo 3.{minor} goes on: "$@"
"""
"""A Python that is asked with -c whether it can be used."""
HARMLESS: Final = f"""
import nox
for name in {SESSIONS}:
    nox.session(lambda session: None, name=name, venv_backend="none")
"""
"""A noxfile whose sessions do nothing."""


def write_wheel(directory: Path, name: str, code: str) -> None:
    """Write a wheel of one module, and of one program, which calls its `main`."""
    about = f"{name}-2099.1.dist-info"
    with ZipFile(directory / f"{name}-2099.1-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", code)
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 2099.1")
        wheel.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any"
        )
        wheel.writestr(f"{about}/entry_points.txt", f"[console_scripts]\n{name}={name}:main")
        wheel.writestr(f"{about}/RECORD", "")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Have of a clone what `./run tests` needs; the path has a space."""
    clone = tmp_path / "a clone"
    clone.mkdir()
    for name in ("run", "cookiecutter.json"):
        shutil.copy2(TEMPLATE / name, clone)
    return clone


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """Have the variables of a person who has no home yet, and who is known to no index."""
    (tmp_path / "home").mkdir()
    variables = {name: value for name, value in clean_variables().items() if name[:4] != "PIP_"}
    return {**variables, "HOME": str(tmp_path / "home"), "PIP_CONFIG_FILE": os.devnull}


@pytest.fixture
def wheels(tmp_path: Path) -> dict[str, str]:
    """Have an index of two wheels, in place of Cookiecutter's and nox's, and of what they need."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    write_wheel(wheels, "cookiecutter", "")
    write_wheel(wheels, "nox", NOX)
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}


@pytest.fixture
def closed() -> Iterator[dict[str, str]]:
    """Have an index that nobody serves: its port is taken, and refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield {"PIP_INDEX_URL": f"http://127.0.0.1:{taken.getsockname()[1]}/simple"}


def expect_one_line(done: Outcome, *texts: str) -> None:
    """Check that it ended in one line, which begins with its name, after what it had announced."""
    done.expect_code(1).expect(*texts)
    assert done.stderr.startswith("run: ")
    assert done.stderr.count("\n") == 1


def test_python_3_6_can_parse_it() -> None:
    ast.parse((TEMPLATE / "run").read_text(), feature_version=(3, 6))


def test_too_old_a_python_says_so(clone: Path, shell: dict[str, str]) -> None:
    env = {**shell, "PATH": str(clone)}
    done = run(sys.executable, "-c", OLD, "run", "new", cwd=clone, env=env, code=None)
    expect_one_line(done, "is Python 3.9.18, 3.11 or newer with pip is needed", "Install one")
    assert not (clone / ".tools").exists()


def test_too_old_a_python_goes_on_in_the_newest_that_works(
    clone: Path, shell: dict[str, str]
) -> None:
    for minor, works in ((14, "false"), (13, "true"), (12, "true")):
        python = clone / f"python3.{minor}"
        python.write_text(OTHER.format(minor=minor, works=works))
        python.chmod(0o755)
    env = {**shell, "PATH": f"{clone}{os.pathsep}/usr/bin{os.pathsep}/bin"}
    done = run(sys.executable, "-c", OLD, "run", "new", "--ask", cwd=clone, env=env)
    assert done.stdout == "3.13 goes on: run new --ask\n"


def test_a_python_without_pip_says_so(clone: Path, shell: dict[str, str], tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", symlinks=True)
    programs = tmp_path / "venv" / "bin"
    env = {**shell, "PATH": str(programs)}
    done = run(programs / "python", "run", "tests", cwd=clone, env=env, code=None)
    expect_one_line(done, f"{programs}/python (Python ", "has no pip", "apt install python3-pip")
    assert not (clone / ".tools").exists()


def test_no_network_is_one_line_at_once(
    clone: Path, shell: dict[str, str], closed: dict[str, str]
) -> None:
    program = start("./run", "tests", cwd=clone, env={**shell, **closed})
    done = finish(program, cwd=clone, code=None, seconds=15)
    expect_one_line(done, "Connection refused", "run this again")
    assert not (clone / ".tools").exists()


def test_run_becomes_nox_and_installs_it_once(
    clone: Path, shell: dict[str, str], wheels: dict[str, str], tmp_path: Path
) -> None:
    """A link to it does as well, and no home; what would lead pip elsewhere does not."""
    elsewhere = {"PIP_USER": "1", "PIP_TARGET": str(tmp_path / "target"), "PIP_DRY_RUN": "1"}
    elsewhere |= {"PYTHONPATH": str(tmp_path / "installed")}
    for wheel in (tmp_path / "wheels").iterdir():
        ZipFile(wheel).extractall(tmp_path / "installed")
    link = tmp_path / "link"
    link.symlink_to(clone / "run")
    words = ("--session", "lint", "--", "-k", "cruft or --help")
    noxfile = str(clone / "noxfile.py")
    for home, cache, times in ((shell["HOME"], None, 1), ("/none", str(clone / ".tools/cache"), 0)):
        env = {**shell, **wheels, **elsewhere, "HOME": home}
        program = start(link, "tests", *words, cwd=tmp_path, env=env)
        done = finish(program, cwd=tmp_path)
        done.expect_times(times, "^Installing .*\nInstalled in ")
        told = json.loads(done.stdout.splitlines()[-1])
        assert told == [program.pid, ["--noxfile", noxfile, *words], cache]
    assert not (tmp_path / "target").exists()


def test_tools_of_older_requirements_are_made_anew(
    clone: Path, shell: dict[str, str], wheels: dict[str, str]
) -> None:
    env = {**shell, **wheels}
    run("./run", "tests", cwd=clone, env=env)
    script = (clone / "run").read_text()
    assert script.count("nox[uv]>=2025") == 1
    (clone / "run").write_text(script.replace("nox[uv]>=2025", "nox[uv]>=2026"))
    for expected in ("Installed in", "Running"):
        done = run("./run", "tests", cwd=clone, env=env).expect(expected)
    done.expect_none_of("Installed")


def test_a_pip_conf_that_leads_elsewhere_is_one_line(
    clone: Path, shell: dict[str, str], wheels: dict[str, str], tmp_path: Path
) -> None:
    conf = tmp_path / "pip.conf"
    conf.write_text(f"[install]\ntarget = {tmp_path / 'target'}\n")
    env = {**shell, **wheels, "PIP_CONFIG_FILE": str(conf)}
    done = run("./run", "tests", cwd=clone, env=env, code=None)
    expect_one_line(done, "pip has installed nothing in .tools", "out of pip.conf")
    assert not (clone / ".tools").exists()


def is_locked(clone: Path) -> bool:
    """Tell whether another ./run would wait now."""
    directory = os.open(clone, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(directory)
    return False


def interrupt(clone: Path, shell: dict[str, str], by: signal.Signals) -> Outcome:
    """Interrupt it while pip waits for an index that never answers."""
    mark = uuid.uuid4().hex
    with socket.create_server(("127.0.0.1", 0)) as index:
        index.settimeout(30)
        url = f"http://127.0.0.1:{index.getsockname()[1]}/simple"
        env = {**shell, "PIP_INDEX_URL": url, "PIP_RETRIES": "0", MARK: mark}
        program = start("./run", "tests", cwd=clone, env=env)
        with index.accept()[0]:
            program.send_signal(by)
            done = finish(program, cwd=clone, code=None, seconds=15)
            assert is_locked(clone) == (by is signal.SIGKILL), "nobody removes what pip writes to"
    wait_until_gone(mark)
    return done


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_leaves_no_tools(
    clone: Path, shell: dict[str, str], by: signal.Signals
) -> None:
    is_ignored = signal.getsignal(by) is signal.SIG_IGN  # as under nohup, and it is inherited
    if is_ignored:
        signal.signal(by, signal.SIG_DFL)
    try:
        done = interrupt(clone, shell, by)
    finally:
        if is_ignored:
            signal.signal(by, signal.SIG_IGN)
    done.expect_code(128 + by).expect_none_of("Traceback")
    assert not (clone / ".tools").exists()


def test_half_made_tools_are_made_anew(
    clone: Path, shell: dict[str, str], wheels: dict[str, str]
) -> None:
    interrupt(clone, shell, signal.SIGKILL)
    assert (clone / ".tools").exists()
    done = run("./run", "tests", cwd=clone, env={**shell, **wheels})
    done.expect("Installed in", str(clone / "noxfile.py"))


def test_new_makes_a_project_once_and_runs_its_sessions(
    shell: dict[str, str], closed: dict[str, str], tmp_path: Path
) -> None:
    clone = copy_template(tmp_path)
    env = {**clean_variables(), "HOME": shell["HOME"]}
    answers = ("--name", "Order Desk", "--package", "desk", "--databases", "two")
    answers += ("--author", "Ada <% << 'n' <# 🚀")
    before = {path.name for path in tmp_path.iterdir()}
    wrong = ("--slug", "Order_Desk", "--email", "nobody")
    refused = run("./run", "new", *wrong, cwd=clone, env=env, code=1)
    refused.expect("ERROR: project_slug 'Order_Desk'", "ERROR: author_email 'nobody'")
    refused.expect_none_of("Traceback")
    assert {path.name for path in tmp_path.iterdir()} == before

    path = [at for at in env["PATH"].split(os.pathsep) if not Path(at, "nox").exists()]
    here = {**env, "PWD": str(clone), "PATH": os.pathsep.join(path)}
    done = run("./run", "new", *answers, "--no-sessions", cwd=clone, env=here)
    done.expect("order-desk is ready", "    cd ../order-desk\n")
    done.expect(f"    {clone}/.tools/bin/nox -s dev")
    assert {path.name for path in tmp_path.iterdir()} == {*before, "order-desk"}
    project = tmp_path / "order-desk"
    assert (project / "src/desk/migrations/timeseries").is_dir()
    assert "\"Ada <% << 'n' <# 🚀\"" in (project / "pyproject.toml").read_text()
    assert not list(Path(shell["HOME"]).glob(".cookiecutter*"))

    run("./run", "adopt", str(project), cwd=clone, env=env, code=1).expect("is not under git")

    (project / "noxfile.py").write_text(HARMLESS)
    done = run("./run", "new", *answers, cwd=clone, env={**shell, **closed})
    done.expect(f"{project} is there already: it stays as it is")
    done.expect(*(f"Session {session} was successful" for session in SESSIONS))
    assert (project / "noxfile.py").read_text() == HARMLESS

    defaults = Path(shell["HOME"]) / ".cookiecutterrc"
    for text, option, told in (
        ("{author_name: yes}", "--ask", "put quotes around author_name in your .cookiecutterrc"),
        ("[license]", "--ask", "default_context in your .cookiecutterrc holds no"),
        ("{}", "--slug=../no/desk", "--slug '../no/desk' is a path, and not a name"),
        ("{}", "--slug=.", "--slug '.' is a path, and not a name"),
        ("{}", "--package=7", "package_name '7' cannot name a Python package"),
        ("{license: GPL}", "--name=Order Desk", "run: Invalid default received: GPL provided for"),
    ):
        defaults.write_text(f"default_context: {text}\n")
        words = ("--no-sessions", option, "--output-dir", str(tmp_path / "no" / "no"))
        done = run("./run", "new", *words, cwd=clone, env=env, code=None).expect(told)
        assert done.stderr.count("\n") == 1
        assert done.code == ("GPL" not in text)
        assert (tmp_path / "no").exists() == ("GPL" in text)

    defaults.unlink()

    (tmp_path / "my-service").mkdir()
    expect_one_line(
        run("./run", "new", cwd=clone, env={**shell, **closed}, code=None),
        f"{tmp_path / 'my-service'} is there, and is no project of this template",
    )


@pytest.mark.long
@pytest.mark.longest
def test_new_is_green_on_a_machine_where_nothing_is_prepared(
    shell: dict[str, str], tmp_path: Path
) -> None:
    clone, mark = copy_template(tmp_path), uuid.uuid4().hex
    env = {**clean_variables(), "HOME": shell["HOME"], MARK: mark}
    for ready in ("my-service is ready", "my-service is there already"):
        done = run("./run", "new", cwd=clone, env=env).expect(ready)
        done.expect(*(f"Session {session} was successful" for session in SESSIONS))
        wait_until_gone(mark)
