"""How a run shows where it is: bars on a terminal, plain lines in a log."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Column

from scraping.fetch import Progress
from scraping.run import Display, Outcome
from warehouse.console import console

EVERY = 30.0  # seconds between two lines about a source in a log


class _Shown:
    """What both displays share: which sources are at work, and a thread that looks at them."""

    seconds = EVERY

    def __init__(self, out: Console) -> None:
        self.out = out
        self.watched: dict[str, Progress] = {}
        self.lock = threading.Lock()
        self.ended = threading.Event()

    def watch(self, source: str, progress: Progress) -> None:
        """Show this source until it is over."""
        with self.lock:
            self.watched[source] = progress

    def over(self, outcome: Outcome) -> None:
        """Say what became of a source."""
        with self.lock:
            self.watched.pop(outcome.source, None)
        self.say(
            f"{outcome.source}: {outcome.state}, {outcome.rows:,} rows, {outcome.new:,} new,"
            f" {outcome.changed:,} changed, {outcome.failed_documents:,} documents failed,"
            f" {outcome.quarantined:,} rows quarantined"
        )

    def say(self, text: str) -> None:
        """Say one line, with the time."""
        self.out.print(f"{datetime.now():%H:%M:%S} {text}")

    def look(self) -> None:
        """Show where the sources are, until the end."""
        while not self.ended.wait(self.seconds):
            self.show()

    def show(self) -> None:
        """Show where the sources are now."""
        with self.lock:
            for name, p in self.watched.items():
                of = f" of {p.total:,}" if p.total is not None else ""
                self.say(f"{name}: {p.label} {p.done:,}{of}; {p.documents:,} documents")


class _Terminal(_Shown):
    seconds = 0.2

    def __init__(self, out: Console) -> None:
        super().__init__(out)
        self.bars = Bars(
            TextColumn("{task.description}", table_column=Column(min_width=20)),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[label]}"),
            TimeElapsedColumn(),
            console=out,
            transient=True,
        )
        self.tasks = {}  # type: ignore[var-annotated]  # rich's TaskID is private

    def show(self) -> None:
        with self.lock:
            for name, p in self.watched.items():
                if name not in self.tasks:
                    self.tasks[name] = self.bars.add_task(name, total=None, label="")
                self.bars.update(
                    self.tasks[name],
                    total=p.total,
                    completed=p.done,
                    label=f"{p.label}, {p.documents:,} documents",
                )
            for name in set(self.tasks) - set(self.watched):
                self.bars.remove_task(self.tasks.pop(name))


@contextmanager
def make_display() -> Iterator[Display]:
    """Bars if standard error is a terminal, else a line per source every half a minute."""
    out = console(stderr=True)
    shown = _Terminal(out) if out.is_terminal else _Shown(out)
    looker = threading.Thread(target=shown.look, daemon=True)
    if isinstance(shown, _Terminal):
        shown.bars.start()
    looker.start()
    try:
        yield shown
    finally:
        shown.ended.set()
        looker.join()
        if isinstance(shown, _Terminal):
            shown.bars.stop()
