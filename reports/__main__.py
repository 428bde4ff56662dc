"""`python -m reports`: write the generated docs, check them, or render a run's report anew."""

from __future__ import annotations

from pathlib import Path

import click

from reports import docs
from reports.run import write_report
from warehouse.errors import InputError, exits_with_2

EPILOG = """\b
Examples:
  python -m reports
  python -m reports --check
  python -m reports --run data/runs/2024-05-01T093000Z

\b
Exit codes: 0 done, 1 with --check some docs are stale (named), 2 wrong use or bad input.
"""


@click.command(epilog=EPILOG)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a file differs from this.")
@click.option(
    "--run", type=click.Path(path_type=Path), help="Write the report of this run folder anew."
)
@click.option(
    "--docs", "folder", type=click.Path(path_type=Path), default=Path("docs"), show_default=True,
    help="Folder of the generated docs.",
)  # fmt: skip
@exits_with_2
def main(check: bool, run: Path | None, folder: Path) -> None:
    """Generate the reference docs from the program's tables, or render a run's report."""
    if run is not None:
        if check:
            raise InputError("--run and --check exclude each other")
        write_report(run)
        click.echo(f"{run / 'report.html'}: written, with figures/ and tables/ beside it")
        return
    if check:
        _check(folder)
        return
    written = docs.write(folder)
    for path in written:
        click.echo(f"{path}: written")
    click.echo(f"{folder}: {len(docs.DOCS)} files, {len(docs.DOCS) - len(written)} as they were")


def _check(folder: Path) -> None:
    paths = docs.stale(folder)
    for path in paths:
        click.echo(f"{path}: stale; run python -m reports", err=True)
    if paths:
        raise SystemExit(1)
    click.echo(f"{folder}: {len(docs.DOCS)} files, all as the tables say")


if __name__ == "__main__":
    main()
