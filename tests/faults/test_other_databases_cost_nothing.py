"""Other databases on a shared server, however many: nobody so much as fetches their names.

What is counted are rows, not seconds. Each is paid for whenever something is planned or dropped,
and a shared server may have thousands.
"""

from contextlib import ExitStack
from typing import Final

from faults.process import Process, Processes
from harness.external import ExternalServer
from harness.project import Project

FOREIGN: Final = 20


def rows_fetched(process: Process) -> dict[str, int]:
    """Have a run with databases, and a leftover; count what a plan and two drops fetch."""
    process.ask("create", worker="gw0")
    (left,) = process.ask("leave", count=1)
    return process.ask("count_rows", name=left)


def test_a_plan_and_a_drop_fetch_no_row_of_others(
    processes: Processes, project: Project, external_server: ExternalServer
) -> None:
    with processes(project) as (process,), ExitStack() as foreign:
        process.ask("start")
        alone = rows_fetched(process)
        for number in range(FOREIGN):
            # Spelled nearly like ours, and with a comment, but nobody could take them for ours.
            name = f"production_testdb_{number}"
            foreign.enter_context(external_server.database(name, comment="of the team's service"))
        assert rows_fetched(process) == alone
