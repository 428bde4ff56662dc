"""`python -m models.train`: train on a panel, print the leaderboard, write the run's folder."""

from __future__ import annotations

import importlib
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from features.audit import audit
from features.audit_result import Audit, audit_table
from features.columns import COLUMNS
from features.dataset import Features, training_data
from models.engine import LOCAL
from models.evaluate import RunResult, learning_curve_of, make_plan, run
from models.extras import TITLES
from models.kept import Kept
from models.leaderboard import CV
from models.learners import DEFAULT_LEARNERS, LEARNERS
from models.outputs import refuse_used, whole_folder, write_run
from models.panel import (
    LEVELS,
    SECTOR_KEY,
    Panel,
    panel_from_frame,
    read_panel,
    with_sector_relative,
)
from models.pipeline import RESAMPLINGS
from models.protocols import PROTOCOLS
from models.search import FOLDS
from models.selectors import DEFAULT_SELECTORS, SELECTORS
from models.tracking import log_run, tracker
from warehouse.console import console
from warehouse.errors import InputError, exits_with_2
from warehouse.store import data_dir

SHOWN = ("macro_f1", "balanced_accuracy", "accuracy", "roc_auc_ovr", "pr_auc_bankrupt")

EPILOG = """\b
Examples:
  python -m models.train --panel panel.parquet --jobs 2
  python -m models.train --panel ratios.csv --label status --group firm --time year
  python -m models.train --learners xgboost,lr --selectors all,rf --grid full
  python -m models.train --learners default,rivals --jobs 2
  python -m models.train --features all --label fails_within_2y --protocol time

\b
Exit codes: 0 done, 1 done but some learners failed (named), 2 wrong use or bad input,
130 Ctrl-C: cells that are done are kept, and the command to go on is printed.
"""


@click.command(epilog=EPILOG)
@click.option("--panel", type=click.Path(path_type=Path), help="CSV or Parquet panel to train on.")
@click.option("--db", type=click.Path(path_type=Path), help="Warehouse to build the panel from.")
@click.option("--label", default="label", show_default=True, help="Column with the class.")
@click.option("--group", default="company_id", show_default=True, help="Column with the company.")
@click.option("--time", "time_", default="fiscal_year", show_default=True, help="Column of years.")
@click.option(
    "--features",
    type=click.Choice(LEVELS),
    default=LEVELS[0],
    show_default=True,
    help="Columns of a panel made here: base: X1 to X66; trend: their change and spread over years"
    " too; all: known scores, company age and --sector-relative too.",
)
@click.option(
    "--sector-relative/--no-sector-relative",
    "relative",
    default=None,
    help="Add each ratio's difference from its sector's median of the year, by training rows."
    "  [default: with --features all]",
)
@click.option(
    "--protocol",
    type=click.Choice([p.name for p in PROTOCOLS]),
    default="company",
    show_default=True,
    help="How rows are parted into training and test.",
)
@click.option("--cut", type=int, help="Last training year of --protocol time.")
@click.option(
    "--learners",
    default=",".join(DEFAULT_LEARNERS),
    show_default=True,
    help="Comma list; also there: "
    + ", ".join((*(learner.name for learner in LEARNERS if not learner.default), *TITLES))
    + "; `default` stands for the nine, `rivals` for all methods of the related work, published"
    " scores, baselines and ensembles.",
)
@click.option(
    "--selectors",
    default=",".join(DEFAULT_SELECTORS),
    show_default=True,
    help="Comma list of feature selections; also there: "
    + ", ".join(s.name for s in SELECTORS if not s.default)
    + ".",
)
@click.option(
    "--grid",
    type=click.Choice(list(FOLDS)),
    default="quick",
    show_default=True,
    help="paper: its values, untuned; quick: 2 points, racing; full: 6-8 points on 5 folds.",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@click.option("--jobs", type=click.IntRange(1, 256), help="Processes.  [default: number of cores]")
@click.option(
    "--engine",
    default=LOCAL,
    show_default=True,
    help="Where fits run: local, or a Dask cluster: dask://HOST:PORT, dask+tls://HOST:PORT.",
)
@click.option(
    "--resampling",
    default=RESAMPLINGS[0],
    show_default=True,
    help="How classes of the training rows are balanced: smote, none, or smote,none to try both.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the interrupted run that --out names: cells that were done are not run again.",
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@click.option(
    "--audit/--no-audit",
    "audited",
    default=True,
    show_default=True,
    help="Say what gives classes away without any accounts: missing values, year, source, size.",
)
@click.option(
    "--learning-curve/--no-learning-curve",
    "curve",
    default=False,
    show_default=True,
    help="Fit the best model on parts of the training companies too: would more of them help?",
)
@click.option(
    "--keep",
    type=click.IntRange(1, 20),
    default=3,
    show_default=True,
    help="Of so many learners the best model is saved, for a score by several side by side.",
)
@click.option("--mlflow", "tracking", metavar="URI", help="Log the run to MLflow as well.")
@click.option("--out", type=click.Path(path_type=Path), help="New folder.  [default: data/runs/…]")
@click.option(
    "--top", type=click.IntRange(min=1), default=10, show_default=True, help="Rows shown."
)
@exits_with_2
def main(
    panel: Path | None,
    db: Path | None,
    label: str,
    group: str,
    time_: str,
    features: Features,
    relative: bool | None,
    protocol: str,
    cut: int | None,
    learners: str,
    selectors: str,
    grid: str,
    device: str,
    jobs: int | None,
    engine: str,
    resampling: str,
    resume: bool,
    seed: int,
    audited: bool,
    curve: bool,
    keep: int,
    tracking: str | None,
    out: Path | None,
    top: int,
) -> None:
    """Train every learner with every feature selection and rank them on rows kept apart.

    Without --panel the warehouse is used; where that is empty too, simulated companies are, and
    every output says so.
    """
    _check_panel(panel, db, features)
    plan = make_plan(
        protocol, _names(learners, "--learners"), _names(selectors, "--selectors"), grid, seed,
        jobs or os.cpu_count() or 1, device, cut, _names(resampling, "--resampling"), engine,
        keep,
    )  # fmt: skip
    if tracking:
        tracker()
    out = _new_folder(out, resume)
    columns = Columns(label, group, time_)
    data, label_rule = _panel(panel, db, columns, features, seed)
    if is_relative(features, relative):
        data = with_sector_relative(data)
    found = _audit(data, columns, seed) if audited else None
    facts = {
        "command": shlex.join(["python", "-m", "models.train", *sys.argv[1:]]),
        "label_rule": label_rule,
        "macro": _macro(data),
        "audit": found,
    }
    kept = Kept(out.with_name(f"{out.name}.part"))
    with whole_folder(out) as folder, _kept_on_interrupt(kept, out):
        result = run(data, plan, kept, resume)
        write_run(folder, result, facts, learning_curve_of(result) if curve else None)
    kept.remove()
    failed = (*result.failed, *_write_report(out), *_log(tracking, result, out))
    show(result, out, top, found)
    _end(failed)


def _end(failed: tuple[str, ...]) -> None:
    """Name what failed, and exit with 1 if anything did."""
    for failure in failed:
        print(f"failed: {failure}", file=sys.stderr)
    if failed:
        raise SystemExit(1)


def _new_folder(out: Path | None, resume: bool) -> Path:
    """The run's folder, which must be empty or not there; one named by the time by default."""
    if resume and out is None:
        raise InputError("--resume needs --out: the folder of the interrupted run")
    out = out or _default_out()
    refuse_used(out)
    return out


def _log(uri: str | None, result: RunResult, out: Path) -> tuple[str, ...]:
    """Log the run where asked; a failure is named and leaves the run as it is."""
    try:
        if uri:
            log_run(uri, result, out)
    except InputError as error:
        return (str(error),)
    return ()


@contextmanager
def _kept_on_interrupt(kept: Kept, out: Path) -> Iterator[None]:
    """Where a run ends early, say how to go on with the cells that are done, if any are."""
    try:
        yield
    except KeyboardInterrupt:
        _tell_of_kept(kept, out)
        raise SystemExit(130) from None
    except (InputError, SystemExit):
        _tell_of_kept(kept, out)
        raise


def _tell_of_kept(kept: Kept, out: Path) -> None:
    count = kept.count()
    if not count:
        kept.remove()
        return
    named = any(argument.split("=")[0] == "--out" for argument in sys.argv)
    again = [*sys.argv[1:], *([] if named else ["--out", str(out)])]
    again += [] if "--resume" in again else ["--resume"]
    print(
        f"ended early; {count} cells are kept in {kept.folder}; go on with:\n"
        f"  {shlex.join(['python', '-m', 'models.train', *again])}",
        file=sys.stderr,
    )


@dataclass(frozen=True)
class Columns:
    """Names of a panel's columns: the class, the company and the year."""

    label: str
    group: str
    time: str


def _check_panel(panel: Path | None, db: Path | None, features: Features) -> None:
    if panel is not None and db is not None:
        raise InputError("--panel and --db exclude each other")
    if panel is not None and features != LEVELS[0]:
        raise InputError(
            f"--features {features} is for a panel made here: {panel.name} has the columns that it"
            f" has; make one with: python -m features --features {features}"
        )


def is_relative(features: Features, relative: bool | None) -> bool:
    """Whether ratios are compared with their sector: as asked, else with all features."""
    return features == "all" if relative is None else relative


def _names(listed: str, option: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in listed.split(",") if name.strip()))
    if not names:
        raise InputError(f"{option} names nothing")
    return names


def _default_out() -> Path:
    return data_dir() / "runs" / datetime.now(UTC).strftime("%Y-%m-%dT%H%M%S.%fZ")


def _panel(
    path: Path | None, db: Path | None, columns: Columns, features: Features, seed: int
) -> tuple[Panel, str]:
    """Return the panel and a line on where its labels come from."""
    names = (columns.label, columns.group, columns.time)
    if path is not None:
        return read_panel(path, *names), f"as given in column {columns.label!r} of {path.name}"
    training = training_data(db, seed, features=features)
    data = panel_from_frame(training.frame, *names, source=training.description)
    return data, _label_rule(columns.label, training.label_rule)


def _label_rule(label: str, rule: str) -> str:
    """The rule of `label` itself; of another column what it means."""
    meanings = {column.name: column.meaning for column in COLUMNS if column.role == "label"}
    if label == "label" or label not in meanings:
        return rule
    return f"{label}: {meanings[label]}"


def _audit(panel: Panel, columns: Columns, seed: int) -> Audit:
    """What gives the classes of the panel away, by the columns that it has.

    Where ratios are compared with their sector, a model can read whose sector is not known: then
    the audit sees it too, as one more value that may be missing.
    """
    given: dict[str, Any] = {columns.label: np.array(panel.classes, dtype=object)[panel.y]}
    if panel.groups is not None:
        given[columns.group] = panel.groups
    if panel.relative:
        given[SECTOR_KEY] = panel.X[SECTOR_KEY] * 0
    frame = pd.concat([panel.X[list(panel.own)], panel.details], axis=1).assign(**given)
    features = panel.own + ((SECTOR_KEY,) if panel.relative else ())
    label, group, time = columns.label, columns.group, columns.time
    return audit(frame, features, label=label, group=group, time=time, seed=seed)


def _macro(panel: Panel) -> dict[str, list[float | None]]:
    """The four macro values of each year in the panel, for scoring later statements."""
    names = ("X63", "X64", "X65", "X66")
    if panel.times is None or not set(names) <= set(panel.features):
        return {}
    years = panel.X[list(names)].groupby(panel.times).median()
    return {
        str(year): [None if value != value else float(value) for value in row]
        for year, *row in years.itertuples(name=None)
    }


def _write_report(out: Path) -> tuple[str, ...]:
    """Add the report to the run's folder; a failure is named and leaves the run as it is.

    The one place that looks upward, so it looks late.
    """
    report: Any = importlib.import_module("reports.run")
    try:
        report.write_report(out)
    except InputError as error:
        return (f"report: {error}",)
    return ()


def show(result: RunResult, out: Path, top: int, audit: Audit | None) -> None:
    """Print the head of the leaderboard, the audit, notices and where the files are."""
    screen = console()
    kind = "SIMULATED companies" if result.panel.simulated else result.panel.source
    table = Table(
        title=f"{kind}, protocol {result.plan.protocol.name}, {len(result.split.test)} test rows"
    )
    focus = result.panel.classes[result.panel.focus]
    headings = {"pr_auc_bankrupt": f"pr_auc_{focus}", "balanced_accuracy": "balanced"}
    shown = (headings.get(name, name) for name in SHOWN)
    tuned = CV in result.leaderboard.columns
    folds = ("folds",) if tuned else ()
    for name in ("#", "learner", "selector", "features", *folds, *shown, "fit s"):
        table.add_column(name, justify="left" if name in ("learner", "selector") else "right")
    for row in result.leaderboard.head(top).to_dict("records"):
        figures = [f"{row[name]:.3f}" for name in SHOWN]
        figures[0] += f" ({row['macro_f1_low']:.2f}–{row['macro_f1_high']:.2f})"
        head = (str(row["rank"]), str(row["learner"]), str(row["selector"]), str(row["n_features"]))
        figures = [*([f"{row[CV]:.3f}"] if tuned else []), *figures]
        table.add_row(*head, *figures, f"{row['fit_seconds']:.1f}")
    screen.print(table)
    _show_audit(screen, audit)
    for notice in result.notices:
        screen.print(f"note: {notice}")
    if tuned:
        screen.print(
            "note: ranked by macro-F1 on the tuning folds of the training rows; the test rows judge"
        )
    elif len(result.leaderboard) > 1:
        screen.print("note: ranks are picked on the test rows, so figures of rank 1 are optimistic")
    _show_assessment(screen, result)
    screen.print(f"files: {out}", soft_wrap=True)


def _show_assessment(screen: Console, result: RunResult) -> None:
    tied, others = result.assessment.tied, len(result.leaderboard) - 1
    if others:
        screen.print(
            f"note: the test rows cannot tell {len(tied)} of the {others} others from"
            f" {result.best.name} (paired bootstrap, Holm): comparison.csv"
        )
    if len(result.assessment.quality):
        said = result.assessment.quality.set_index("figure")
        figures = ", ".join(
            f"{name} {row.as_given:.3f} → {row.calibrated:.3f}" for name, row in said.iterrows()
        )
        screen.print(f"note: {result.best.name}, as given → calibrated: {figures}")


def _show_audit(screen: Console, audit: Audit | None) -> None:
    if audit is None:
        screen.print("note: no leak audit was made (--no-audit)")
        return
    screen.print(audit_table(audit))
    for warning in audit.warnings:
        screen.print(f"warning: {warning}")
    for note in audit.notes:
        screen.print(f"note: leak audit: {note}")


if __name__ == "__main__":
    # As Ctrl-C: so that the processes at work end too and nothing half-written stays.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
