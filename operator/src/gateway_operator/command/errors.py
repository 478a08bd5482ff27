"""What went wrong in a user's words: a line a problem on standard error, an exit code, never a traceback."""

import sys
from collections.abc import Iterable
from typing import IO, Any

import click

EXIT_UNUSABLE = 2
"""Something the user gave cannot be used: a file, an option, a token."""

EXIT_NOT_RUNNING = 3


class UserError(click.ClickException):
    """Ends the command with `problems`, one a line."""

    def __init__(self, *problems: str, exit_code: int = EXIT_UNUSABLE) -> None:
        super().__init__("\n".join(problems))
        self.exit_code = exit_code

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, file=file or sys.stderr)


def in_file(file: str, problems: Iterable[str]) -> UserError:
    """The problems of one file, each line naming it as compilers do."""
    return UserError(*(f"{file}: {problem}" for problem in problems))
