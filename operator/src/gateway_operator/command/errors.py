"""What went wrong in a user's words: a line a problem on standard error, an exit code, never a traceback."""

import sys
from collections.abc import Iterable
from typing import IO, Any

import click

EXIT_NOT_DONE = 1
"""What was asked for is under way, and not through within the time to wait."""

EXIT_UNUSABLE = 2
"""Something the user gave cannot be used: a file, an option, a token."""

EXIT_NOT_RUNNING = 3


class UserError(click.ClickException):
    """Ends the command with `problems`, one a line."""

    exit_code = EXIT_UNUSABLE

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, file=file or sys.stderr)


class GatewayNotRunningError(UserError):
    exit_code = EXIT_NOT_RUNNING


def in_file(file: str, problems: Iterable[str]) -> UserError:
    """The problems of one file, each line naming it as compilers do."""
    return UserError(*(f"{file}: {problem}" for problem in problems))
