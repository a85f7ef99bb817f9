"""How tasks end where something is wrong: one message on stderr, and an exit code.

Every task is made by the `task` of this module, in place of Invoke's, and so ends like this.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from invoke import tasks
from invoke.exceptions import Exit, ParseError
from invoke.parser.argument import Argument

from testdb.identity.errors import LifecycleError
from testdb.postgres import Error
from testdb.processes import child

NO_DRY_RUN: Final = (
    "Nothing was done: Invoke's --dry (-R) is for tasks that run shell commands, and these run "
    "none. `invoke db.sweep --dry-run` says what a sweep would drop."
)


@contextmanager
def until_ctrl_c() -> Iterator[None]:
    """Take Ctrl-C as the end of the task, not as an error."""
    try:
        yield
    except child.Terminated:
        raise
    except KeyboardInterrupt:
        pass


class Option(Argument):
    """An option of a task. Where it takes a number, anything else is a mistake, not a traceback."""

    def set_value(self, value: Any, cast: bool = True) -> None:  # noqa: ANN401  as Invoke has it
        """Take what stands on the command line.

        Raises:
            ParseError: it is no number where there must be one.
        """
        try:
            super().set_value(value, cast)
        except ValueError:
            number = "a whole number" if self.kind is int else "a number"
            msg = f"--{self.names[0]} takes {number}, not {value!r}."
            raise ParseError(msg) from None


class Task(tasks.Task[Callable[..., None]]):
    """A task with such options, that ends with the message of what a person can mend."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        """Do what it does. When it is terminated, that is undone first, as after Ctrl-C.

        Raises:
            Exit: it ends with an error, or Invoke was told to do nothing.
        """
        if arguments[0].config.run.dry:
            raise Exit(NO_DRY_RUN, code=1)
        child.terminate_in_order()
        try:
            return super().__call__(*arguments, **options)
        except child.Terminated:
            raise Exit(code=child.TERMINATED) from None
        except (LifecycleError, Error) as error:
            sys.stdout.flush()  # where both go into one pipe, the reason comes last
            raise Exit(str(error), code=1) from None

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Describe its options to Invoke."""
        options: list[Argument] = []
        for argument in super().get_arguments(ignore_unknown_help):
            option = Option(names=argument.names)
            vars(option).update(vars(argument))
            options.append(option)
        return options


task: Final = partial(tasks.task, klass=Task)
"""Invoke's decorator, for such tasks."""
