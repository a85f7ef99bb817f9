"""Run the examples, each in a process of its own, and sum up what became of them.

python examples/run_all.py [NAME ...] [--skip NAME] [--jobs N] [--timeout SECONDS]
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console
from rich.table import Table

from testdb import examples, runs
from testdb.errors import LifecycleError
from testdb.examples import Result


def main() -> int:
    """Run what the arguments choose; the exit code is 1 if any example failed."""
    options = _options()
    chosen = [example for example in examples.find() if _is_chosen(example.name, options)]
    console = Console(highlight=False)
    try:
        with runs.start() as run, ThreadPoolExecutor(options.jobs) as pool:
            results = []
            for result in pool.map(
                lambda example: examples.run_example(example, run, timeout=options.timeout), chosen
            ):
                console.print(f"{result.name}: {result.problem or 'passed'}", markup=False)
                if result.problem:
                    console.print(result.output, markup=False)
                results.append(result)
    except LifecycleError as error:
        sys.exit(str(error))
    console.print(_summary(results))
    return 1 if any(result.problem for result in results) else 0


def _options() -> argparse.Namespace:
    names = [example.name for example in examples.find()]
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    parser.add_argument("--skip", action="append", default=[], choices=names)
    parser.add_argument("--jobs", type=int, default=1, help="how many run at once")
    parser.add_argument(
        "--timeout", type=float, default=examples.TIMEOUT_SECONDS, help="seconds for each"
    )
    options = parser.parse_args()
    for name in options.names:
        if name not in names:
            parser.error(f"there is no example {name!r}; choose from {', '.join(names)}")
    return options


def _is_chosen(name: str, options: argparse.Namespace) -> bool:
    return name not in options.skip and (not options.names or name in options.names)


def _summary(results: list[Result]) -> Table:
    table = Table("example", "result", "seconds", box=None, pad_edge=False)
    for result in results:
        table.add_row(result.name, result.problem or "passed", f"{result.seconds:.1f}")
    return table


if __name__ == "__main__":
    sys.exit(main())
