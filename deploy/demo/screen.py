"""What the person sees: headings, timed phases, commands with their output. Plain text when nobody looks on."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from deploy.demo.directory import Ran

_WIDTH_WITHOUT_TERMINAL = 120
_LONGEST_OUTPUT = 160


class Screen:
    """Writes to a console; keeps how long each phase took."""

    def __init__(self, console: Console | None = None) -> None:
        console = console or Console(highlight=False)
        if not console.is_terminal:
            console = Console(highlight=False, width=_WIDTH_WITHOUT_TERMINAL, no_color=True, file=console.file)
        self.console = console
        self.phases: list[tuple[str, float]] = []

    def say(self, text: str = "") -> None:
        """Write a line."""
        self.console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Write a heading, and when the phase is over how long it took."""
        self.console.print(f"\n[bold]{name}[/bold]")
        begun = time.monotonic()
        yield
        seconds = time.monotonic() - begun
        self.phases.append((name, seconds))
        self.say(f"  {seconds:.1f} s")

    def show(self, ran: Ran) -> None:
        """Write a command and what it said, shortened."""
        self.say(f"  $ {ran.command}")
        lines = ran.output.splitlines() or ["(no output)"]
        more = f" … ({len(lines) - 1} more lines)" if len(lines) > 1 else ""
        self.say(f"    {lines[0][:_LONGEST_OUTPUT]}{more}   [exit {ran.code}]")

    def table(self, title: str, columns: list[str], rows: list[list[str]]) -> None:
        """Write a table; all columns but the first two are numbers."""
        table = Table(title=title, title_justify="left")
        for number, column in enumerate(columns):
            table.add_column(column, justify="left" if number < 2 else "right")
        for row in rows:
            table.add_row(*row)
        self.say()
        self.console.print(table)

    @contextmanager
    def progress(self, name: str, total: int) -> Iterator["Bar"]:
        """Show a bar while something goes on; without a terminal, a line each five seconds."""
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console, disable=not self.console.is_terminal) as progress:
            yield Bar(self, progress, name, total)


class Bar:
    """A progress bar, or the lines that stand for it."""

    _EVERY = 5.0

    def __init__(self, screen: Screen, progress: Progress, name: str, total: int) -> None:
        self._screen, self._progress, self._name, self._total = screen, progress, name, total
        self._task = progress.add_task(name, total=total)
        self._last, self._said = time.monotonic(), ""

    def at(self, done: int, total: int | None = None, *, final: bool = False) -> None:
        """Say how far it has come; `total` when more has turned up."""
        self._total = total or self._total
        self._progress.update(self._task, completed=done, total=self._total)
        line = f"  {self._name}: {done:,} of {self._total:,}"
        if self._progress.disable and line != self._said and (final or time.monotonic() - self._last >= self._EVERY):
            self._last, self._said = time.monotonic(), line
            self._screen.say(line)
