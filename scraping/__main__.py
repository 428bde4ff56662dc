"""`python -m scraping`: fetch the sources, match companies, fill the warehouse."""

from __future__ import annotations

import csv
import os
from datetime import UTC, date, datetime
from pathlib import Path

import click
from rich.table import Table

from scraping.display import make_display
from scraping.hosts import base_url, host_named, is_loopback
from scraping.load import modules
from scraping.run import Options, Outcome, Summary, due, raw_store, replay, run
from warehouse import store
from warehouse.console import console as make_console
from warehouse.errors import InputError, exits_with_2
from warehouse.readers import require_file

FILE = click.Path(path_type=Path)
_SHOWN = 3  # failures of a source that are printed; the run's file has more
_MAX_LIST_BYTES = 10 * 1024**2


@click.command(
    epilog="\b\nExamples:\n  python -m scraping --list\n  python -m scraping --due\n"
    "  python -m scraping ibbi_announcements nse_listings --since 2024-01-01"
)
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@click.option("--list", "list_", is_flag=True, help="List the sources and when they last ran.")
@click.option("--due", "due_", is_flag=True, help="Only sources whose cadence says it is time.")
@click.option(
    "--companies",
    metavar="FILE|ID,...",
    help="Statements of these only: ids, NSE symbols, ISINs or BSE codes, or a file of them.",
)
@click.option("--since", metavar="DATE", help="Earliest date of interest, YYYY-MM-DD.")
@click.option("--replay", "replay_", is_flag=True, help="Rebuild from stored documents, offline.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; fetch and write nothing.")
@click.option("--db", type=FILE, help="Warehouse file. [data/warehouse.duckdb]")
@exits_with_2
def main(
    sources: tuple[str, ...],
    list_: bool,
    due_: bool,
    companies: str | None,
    since: str | None,
    replay_: bool,
    dry_run: bool,
    db: Path | None,
) -> None:
    """Scrape insolvency events, listings and statements into the warehouse.

    All sources, or those that are named. Every document is kept as it came; a run that was
    interrupted is taken up by the next one. Exit code 1: done, with failures that are named.
    """
    names = _chosen(sources)
    if list_:
        _print_sources(names)
        return
    if replay_ and (sources or due_ or companies or since):
        raise InputError("--replay rebuilds from all stored documents: give it no other choice")
    if due_:
        names = due(raw_store(), names, datetime.now(UTC))
    options = Options(names, db, _companies(companies), _date(since))
    if dry_run:
        _print_plan(options, replay_)
        return
    if not names:
        click.echo("nothing is due")
        return
    if not replay_:
        _ask_for_contact(names)
    with make_display() as display:
        summary = replay(options, display) if replay_ else run(options, display)
    _print_summary(summary)
    if not summary.ok:
        raise SystemExit(1)


def _ask_for_contact(names: tuple[str, ...]) -> None:
    """Say that a public site's operators should be told who asks."""
    asked = {base_url(host_named(modules()[name].SOURCE.host)) for name in names}
    if not os.environ.get("SCRAPING_CONTACT") and not all(is_loopback(url) for url in asked):
        click.echo(
            "note: set SCRAPING_CONTACT to your e-mail address or page, so that the sites'"
            " operators can reach you",
            err=True,
        )


def _chosen(names: tuple[str, ...]) -> tuple[str, ...]:
    known = tuple(modules())
    for name in names:
        if name not in known:
            raise InputError(f"no source {name!r}; there are: {', '.join(known)}")
    return tuple(name for name in known if not names or name in names)


def _date(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InputError(f"--since: expected a date YYYY-MM-DD, got {text!r}") from None
    if not date(1990, 1, 1) <= day <= datetime.now(UTC).date():
        raise InputError(f"--since: expected a date between 1990-01-01 and today, got {text}")
    return day


def _companies(text: str | None) -> tuple[str, ...] | None:
    """Ids of the option: given there, or the first column of a file (a CSV with a header)."""
    if text is None:
        return None
    path = Path(text)
    if not path.is_file() and path.suffix not in (".csv", ".txt"):
        ids = [part.strip() for part in text.split(",")]
    else:
        require_file(path, _MAX_LIST_BYTES)
        try:
            rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{path}: expected lines of ids in UTF-8: {error}") from None
        ids = [row[0].strip() for row in rows if row and row[0].strip() != "company_id"]
    ids = [each for each in ids if each]
    if not ids:
        raise InputError(f"--companies: {text!r} names no company")
    return tuple(dict.fromkeys(ids))


def _print_sources(names: tuple[str, ...]) -> None:
    view = Table("source", "publisher", "stage", "every", "format", "last complete crawl", "due")
    waiting = due(raw_store(), names, datetime.now(UTC))
    for name in names:
        source = modules()[name].SOURCE
        last = raw_store().last_complete(name)
        view.add_row(
            name,
            source.publisher,
            str(source.stage),
            f"{source.cadence_days} d",
            source.standing,
            f"{last:%Y-%m-%d %H:%M} UTC" if last else "never",
            "yes" if name in waiting else "",
        )
    make_console().print(view)
    click.echo("format: seen = read in a real file; reported = from independent public code")


def _print_plan(options: Options, replay_: bool) -> None:
    kept = raw_store()
    view = Table("source", "asks", "seconds apart", "documents kept", "last complete crawl")
    for name in options.sources:
        source = modules()[name].SOURCE
        host = host_named(source.host)
        documents = sum(len(kept.documents(folder)) for folder in kept.crawls(name))
        last = kept.last_complete(name)
        view.add_row(
            name,
            "no one: replay" if replay_ else base_url(host),
            f"{host.seconds:g}",
            f"{documents:,}",
            f"{last:%Y-%m-%d %H:%M} UTC" if last else "never",
        )
    console = make_console()
    console.print(view)
    click.echo(f"dry run: nothing fetched, nothing written to {store.warehouse_path(options.db)}")


def _print_summary(summary: Summary) -> None:
    console = make_console()
    view = Table("source", "", title="Scraping", title_justify="left")
    for name in ("rows", "new", "changed", "quarantined", "failed docs", "fetched", "s"):
        view.add_column(name, justify="right")
    for outcome in summary.sources:
        view.add_row(outcome.source, outcome.state, *_counts(outcome))
    console.print(view)
    for outcome in summary.sources:
        for message in outcome.messages[:_SHOWN]:
            console.print(f"{outcome.source}: {message}", style="red")
        more = max(outcome.failed_documents - _SHOWN, 0)
        if more:
            console.print(f"{outcome.source}: and {more:,} more failed documents, see data/runs")
    for notice in summary.notices[:_SHOWN]:
        console.print(f"matching: {notice}", style="dim")
    if summary.matched:
        words = ", ".join(f"{count:,} {what}" for what, count in summary.matched.items())
        console.print(f"matching: {words}")
    if summary.failed_checks:
        failed = ", ".join(f"{name} {count:,}" for name, count in summary.failed_checks.items())
        console.print(f"data checks that failed (rows kept and flagged): {failed}")
    console.print(f"fingerprint of the data: {summary.fingerprint}; {summary.seconds:.0f} s")


def _counts(outcome: Outcome) -> tuple[str, ...]:
    counts = (
        outcome.rows,
        outcome.new,
        outcome.changed,
        outcome.quarantined,
        outcome.failed_documents,
        outcome.snapshots,
    )
    return (*(f"{count:,}" for count in counts), f"{outcome.seconds:.1f}")


if __name__ == "__main__":
    main()
