"""Run the examples, each in a process of its own, and sum up what became of them.

python examples/run_all.py [NAME ...] [--skip NAME ...] [-n N] [--timeout SECONDS]
invoke examples.run -- [the same]

A NAME is that of an example (`users` for example_users.py) or a kind: a word of several names.
The exit code is 0 if all passed, 1 if any failed, 2 if they cannot be run, 130 after Ctrl-C
and 143 after SIGTERM.
"""

import argparse
import math
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed

from rich.console import Console
from rich.progress import Progress

from testdb.identity.errors import LifecycleError
from testdb.processes import child, examples, reports
from testdb.processes.examples import Example, Result
from testdb.processes.tables import show_table
from testdb.runs import run as runs

console = Console(highlight=False, markup=False, soft_wrap=True)


def main() -> int:
    """Run what the arguments choose; returns the exit code."""
    options = _options()
    chosen = [
        example
        for example in examples.find()
        if not example.matches(options.skip)
        and (not options.names or example.matches(options.names))
    ]
    child.terminate_in_order()
    try:
        results = _run(chosen, options.jobs, options.timeout)
    except LifecycleError as error:
        print(error, file=sys.stderr)
        return 2
    except child.Terminated:
        print("Terminated: every example was stopped.", file=sys.stderr)
        return child.TERMINATED
    except KeyboardInterrupt:
        print("Interrupted: every example was stopped.", file=sys.stderr)
        return reports.INTERRUPTED
    show_table(["example", "result", "seconds"], _summary(results))
    return 1 if any(result.problem for result in results) else 0


def _run(chosen: list[Example], jobs: int, timeout: float) -> list[Result]:
    """Run examples side by side, and say what became of each as soon as it ends."""
    interrupted = threading.Event()
    results = []
    with (
        runs.start() as run,
        ThreadPoolExecutor(jobs or 1) as pool,
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        bar = progress.add_task("Running examples", total=len(chosen))
        try:
            futures = [
                pool.submit(
                    examples.run_example, example, run, timeout=timeout, interrupted=interrupted
                )
                for example in chosen
            ]
            for future in as_completed(futures):
                results.append(future.result())
                console.print(results[-1].report())
                progress.advance(bar)
        finally:
            interrupted.set()
            pool.shutdown(cancel_futures=True)
    return results


def _options() -> argparse.Namespace:
    found = examples.find()
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage=argparse.SUPPRESS,  # the description has it, and a mistake is told in one line
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="run only these")
    parser.add_argument(
        "--skip", action="append", default=[], metavar="NAME", help="leave these out"
    )
    # As pytest-xdist has it, so that `nox -- -n 4` goes for all sessions; 0 is one at a time too.
    parser.add_argument("-n", "--jobs", type=int, default=1, metavar="N", help="how many at once")
    parser.add_argument(
        "--timeout", type=float, default=examples.TIMEOUT_SECONDS, help="seconds for each"
    )
    options = parser.parse_args()
    for name in (*options.names, *options.skip):
        if not any(example.matches([name]) for example in found):
            known = ", ".join(example.name for example in found)
            parser.error(f"there is no example {name!r}; choose from {known}")
    if options.jobs < 0:
        parser.error("--jobs must be a number of examples, not less than 0")
    if not 0 < options.timeout < math.inf:
        parser.error("--timeout must be a number of seconds, more than 0")
    return options


def _summary(results: list[Result]) -> list[list[str]]:
    return [
        [result.example.name, result.problem or "passed", f"{result.seconds:.1f}"]
        for result in sorted(results, key=lambda result: result.example.name)
    ]


if __name__ == "__main__":
    sys.exit(main())
