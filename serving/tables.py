"""Prints tables of which no cell is ever cut, whatever the width of the terminal."""

from __future__ import annotations

from collections.abc import Container, Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from serving.terminal import PrintableConsole, terminal
from streams.printable import printable

Cell = str | list[str]
"""The text of a cell; a list has several lines."""
Rows = Sequence[Sequence[Cell]]


def print_table(
    columns: Sequence[str], rows: Rows, console: Console | None = None, *,
    numbers: Container[str] = (), title: str | None = None, caption: str | None = None,
) -> None:  # fmt: skip
    """Print rows of texts. The columns in ``numbers`` are aligned to the right.

    A pipe or a file gets each row on one line. A terminal that is too narrow for the words of a row
    gets each cell on a line of its own.
    """
    console = console or terminal()
    title, caption = title and printable(title), caption and printable(caption)
    lines = [[list(map(printable, [cell] if isinstance(cell, str) else cell)) for cell in row] for row in rows]
    above, under = title and Text(title, "table.title"), caption and Text(caption, "table.caption")
    table = Table(title=above, caption=under, title_justify="left", caption_justify="left")
    for name in columns:
        table.add_column(Text(name), justify="right" if name in numbers else "left", no_wrap=name in numbers)
    for row in lines:
        table.add_row(*(Text("\n".join(cell)) for cell in row))
    needed = Measurement.get(console, console.options.update(width=10_000), table)
    if not console.is_terminal:
        wide = PrintableConsole(file=console.file, width=max(needed.maximum, 1), markup=False, emoji=False)
        wide.print(table, crop=False)
    elif needed.minimum <= console.width:
        console.print(table)
    else:
        _print_cells(console, columns, lines, title, caption)


def _print_cells(
    console: Console, columns: Sequence[str], rows: Sequence[Sequence[list[str]]], title: str | None, caption: str | None
) -> None:
    widest = max(map(len, columns))
    below = "\n" + " " * (widest + 2)
    lines = [f"{title}\n"] if title else []
    for row in rows:
        for name, cell in zip(columns, row, strict=True):
            lines.append(f"{name:{widest}}  {below.join(cell)}".rstrip())
        lines.append("")
    if caption:
        lines.append(caption)
    console.print(Text("\n".join(lines)), soft_wrap=True)
