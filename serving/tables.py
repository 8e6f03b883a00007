"""Prints tables of which no cell is ever cut, whatever the width of the terminal."""

from __future__ import annotations

from collections.abc import Container, Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

Rows = Sequence[Sequence[str]]


def print_table(
    columns: Sequence[str], rows: Rows, console: Console | None = None, *,
    numbers: Container[str] = (), title: str | None = None, caption: str | None = None,
) -> None:  # fmt: skip
    """Print rows of texts. The columns in ``numbers`` are aligned to the right.

    A pipe or a file gets each row on one line. A terminal that is too narrow for the words of a row
    gets each cell on a line of its own.
    """
    console = console or Console()
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    for name in columns:
        table.add_column(name, justify="right" if name in numbers else "left", no_wrap=name in numbers)
    for row in rows:
        table.add_row(*map(Text, row))  # as text: brackets in a plain string are markup of rich
    needed = Measurement.get(console, console.options.update(width=10_000), table)
    if not console.is_terminal:
        Console(file=console.file, width=max(needed.maximum, 1)).print(table, crop=False)
    elif needed.minimum <= console.width:
        console.print(table)
    else:
        _print_cells(console, columns, rows, title, caption)


def _print_cells(console: Console, columns: Sequence[str], rows: Rows, title: str | None, caption: str | None) -> None:
    widest = max(map(len, columns))
    lines = [f"{title}\n"] if title else []
    for row in rows:
        cells = zip(columns, row, strict=True)
        lines += [f"{name:{widest}}  {cell.replace(chr(10), chr(10) + ' ' * (widest + 2))}".rstrip() for name, cell in cells]
        lines.append("")
    if caption:
        lines.append(caption)
    console.print(Text("\n".join(lines)), soft_wrap=True)
