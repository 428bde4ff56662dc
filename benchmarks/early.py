"""How many years before admission the model first says so, for companies it has not seen.

    python benchmarks/early.py --data FOLDER [--companies 20]

FOLDER holds statements.parquet, events.csv and companies.csv of real companies. Twenty companies
that were admitted, and as many healthy ones, drawn by a seed, are set aside; `models.train` (quick
grid, companies kept apart) learns from all others. Then each of the twenty is scored by its
statements as known on the day before its admission. "First said" is the first year end of the last
unbroken run of years that are labelled bankrupt, or bankrupt or distressed (as the labels have it,
another year of a company that fails), or in Altman's Z'' zone of distress, up to the latest
statements: what an analyst who looked every year would have seen without ever being called off.
What it costs stands below: the healthy years that each calls failing.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

from features.dataset import panel  # noqa: E402
from models import artifact  # noqa: E402
from models.artifact import Model  # noqa: E402
from models.scoring import Ask, ScoredYear, score  # noqa: E402
from warehouse import importers, store  # noqa: E402
from warehouse.errors import InputError  # noqa: E402

SEED = 0
FILES = ("statements.parquet", "events.csv", "companies.csv")
LEAST_YEARS = 4  # of statements known before the admission
TRAIN = ("--learners", "xgboost,lightgbm,gb", "--selectors", "all,correlation", "--grid", "quick")


@dataclass(frozen=True)
class Admitted:
    """A company that failed and its years as known the day before."""

    company: str
    day: date
    years: tuple[ScoredYear, ...]


def says_model(year: ScoredYear) -> bool:
    return year.prediction == "bankrupt"


def says_either(year: ScoredYear) -> bool:
    return year.prediction in ("bankrupt", "distressed")


def says_altman(year: ScoredYear) -> bool:
    return year.scores[0].zone == "distress"


JUDGES: tuple[tuple[str, Callable[[ScoredYear], bool]], ...] = (
    ("bankrupt", says_model),
    ("or distressed", says_either),
    ("Altman's Z''", says_altman),
)


def first_said(case: Admitted, says: Callable[[ScoredYear], bool]) -> float | None:
    """Years from the year end of the first of the last run of warnings to the admission."""
    first = None
    for year in reversed(case.years):
        if not says(year):
            break
        first = date.fromisoformat(year.fiscal_year_end)
    return None if first is None else (case.day - first).days / 365.25


def drawn(table: pa.Table, count: int) -> tuple[list[str], list[str]]:
    """Companies that fail, with years enough before, and healthy ones."""
    frame = table.select(["company_id", "label", "post_event"]).to_pandas()
    before = frame[~frame["post_event"].astype(bool)]
    sizes = before.groupby("company_id").size()
    failing = set(frame.loc[frame["label"] == "bankrupt", "company_id"])
    healthy = set(frame["company_id"]) - set(frame.loc[frame["label"] != "healthy", "company_id"])
    random = np.random.default_rng(SEED)
    enough = sorted(c for c in failing if sizes.get(c, 0) >= LEAST_YEARS)
    return (
        sorted(random.permutation(enough)[:count].tolist()),
        sorted(random.permutation(sorted(healthy))[:count].tolist()),
    )


def trained(table: pa.Table, aside: set[str], folder: Path) -> Model:
    """The best model of the other companies."""
    keep = [company not in aside for company in table.column("company_id").to_pylist()]
    pq.write_table(table.filter(pa.array(keep)), folder / "panel.parquet")
    command = [sys.executable, "-m", "models.train", "--panel", str(folder / "panel.parquet")]
    run = [*command, *TRAIN, "--no-audit", "--out", str(folder / "run")]
    subprocess.run(run, check=True, cwd=REPO, stdout=subprocess.DEVNULL)
    return artifact.load(folder / "run" / "model")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--companies", type=int, default=20)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, store.in_memory() as connection:
        importers.import_files(connection, [chosen.data / name for name in FILES])
        store.run_checks(connection)
        table = panel(connection)
        failing, healthy = drawn(table, chosen.companies)
        model = trained(table, {*failing, *healthy}, Path(folder))
        days = dict(
            connection.execute(
                "SELECT company_id, min(event_date) FROM event"
                " WHERE event_type = 'cirp_admission' AND usable GROUP BY company_id"
            ).fetchall()
        )
        ask = Ask("none")
        cases = []
        for company in failing:
            with store.known_on(connection, days[company] - timedelta(days=1)):
                found = score(connection, model, company, ask).companies[0]
            cases.append(Admitted(found.company_name, days[company], found.years))
        calm = [year for company in healthy for year in scored_years(connection, model, company)]
    rows = model.manifest["rows"]["train"]
    print(
        f"{platform.machine()}, {os.cpu_count()} cores; {model.name}, trained on {rows:,} rows of"
        f" other companies; {len(cases)} that were admitted, {len(healthy)} healthy"
    )
    report(cases, calm)


def scored_years(connection: object, model: Model, company: str) -> tuple[ScoredYear, ...]:
    try:
        return score(connection, model, company, Ask("none")).companies[0].years
    except InputError:
        return ()


def report(cases: list[Admitted], calm: list[ScoredYear]) -> None:
    judges = "".join(f"{name:>15s}" for name, _ in JUDGES)
    print(f"\n{'company':34s}{'admitted':>12s}{'years':>7s}{judges}{'p last':>8s}")
    leads = []
    for case in cases:
        found = [first_said(case, says) for _, says in JUDGES]
        leads.append(found)
        told = "".join(f"{'never' if lead is None else f'{lead:.1f}':>15s}" for lead in found)
        last = case.years[-1].probabilities["bankrupt"]
        print(f"{case.company[:33]:34s}{case.day!s:>12s}{len(case.years):7d}{told}{last:8.2f}")
    frame = pd.DataFrame(leads, columns=[name for name, _ in JUDGES], dtype="float64")
    heads = f"{'said before':>13s}{'median years':>14s}{'healthy years called failing':>31s}"
    print(f"\n{'':15s}{heads}")
    for name, says in JUDGES:
        alarms, said = sum(says(year) for year in calm), frame[name].notna().sum()
        share = f"{alarms} of {len(calm)}"
        print(f"{name:15s}{f'{said} of {len(cases)}':>13s}{frame[name].median():14.1f}{share:>31s}")
    print("years before admission of the first of the last unbroken run of warnings; p last: the")
    print("calibrated probability of bankruptcy by the latest statements known before")


if __name__ == "__main__":
    main()
