"""End-to-end tests meet nothing of one another, though one service runs under all of them."""

from collections import defaultdict
from pathlib import Path
from typing import Final

from harness.parameters import two_workers_by_default
from harness.project import Project
from harness.suite import EVERY_WAY, audit

SAME_EMAIL: Final = """
from pathlib import Path

ADA = {{"email": "e2e_test@example.com", "name": "Ada"}}


@every_way
@pytest.mark.parametrize("time", range(4))
def test_signs_up(service, http, worker, way, time):
    with Path({log!r}).open("a") as log:
        print(worker, way, service.process.pid, file=log)
    assert http.get("/users").json() == []
    created = http.post("/users", json=ADA)
    assert created.status_code == 201
    assert created.json()["id"] == 1
    assert http.post("/users", json=ADA).status_code == 409
"""


@two_workers_by_default
def test_two_tests_with_one_email_never_collide(
    project: Project, workers: str, tmp_path: Path
) -> None:
    """Scenario A."""
    log = tmp_path / "log"
    text = EVERY_WAY + SAME_EMAIL.format(log=str(log))
    path = project.write("tests/e2e/test_same_email.py", text)
    done = project.run("pytest", path, "-n", workers)
    done.expect("8 passed")
    assert audit(done)["left"] == 0

    services = defaultdict(list)
    for worker, way, pid in map(str.split, log.read_text().splitlines()):
        services[way if way == "clone" else worker].append(pid)
    clones = services.pop("clone")
    assert len(set(clones)) == 4, "each clone has a service of its own"
    for pids in services.values():
        assert len(set(pids)) == 1, "the others of a worker share one"
        assert not {*pids} & {*clones}
