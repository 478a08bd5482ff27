"""Where tables are printed: as wide as the terminal, and without a limit where a program reads them."""

import sys

from rich.console import Console, RenderableType

WIDE_ENOUGH = 1000
"""Columns where no terminal sets a limit: a program that reads the output wants no broken lines."""


def print_view(view: RenderableType) -> None:
    Console(width=None if sys.stdout.isatty() else WIDE_ENOUGH, highlight=False).print(view)
