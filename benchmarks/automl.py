"""Our leaderboard beside FLAML, LazyPredict and AutoGluon: same companies, equal wall time.

    python benchmarks/automl.py [--panel FILE] [--grid full] [--rivals a,b] [--envs DIR]

Test companies are those of `--protocol company`; nobody sees them. Ours runs first, all learners
with all selections, SMOTE or none as the tuning folds prefer, and each rival then gets as many
seconds as ours took on the same two cores. Rivals tune by company too, where they can: FLAML on
five folds of companies, AutoGluon `medium_quality` on a fifth of the companies, `good_quality`
bagged over five folds of companies; LazyPredict has no time limit and chooses by a fifth of the
companies. Each is installed into an environment of its own under --envs. Without --panel the
companies are simulated.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPO), str(REPO / "benchmarks")]
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}

import numpy as np  # noqa: E402
from grid import SEED, read  # noqa: E402

from models.comparison import compare  # noqa: E402
from models.evaluate import RunResult, make_plan, run  # noqa: E402
from models.extras import ENSEMBLES  # noqa: E402
from models.learners import DEFAULT_LEARNERS  # noqa: E402
from models.metrics import measure_all  # noqa: E402
from models.panel import Floats, Panel  # noqa: E402
from models.pipeline import RESAMPLINGS  # noqa: E402
from models.selectors import DEFAULT_SELECTORS  # noqa: E402

FLAML = "flaml[automl]==2.7.0"
AUTOGLUON = "autogluon.tabular[lightgbm,xgboost,catboost]==1.6.3"
LAZYPREDICT = "lazypredict==0.3.0"
RIVALS = {
    "flaml": ("FLAML 2.7.0, for macro-F1", FLAML),
    "flaml-log-loss": ("FLAML 2.7.0, for log-loss", FLAML),
    "autogluon": ("AutoGluon 1.6.3 medium_quality", AUTOGLUON),
    "autogluon-good": ("AutoGluon 1.6.3 good_quality", AUTOGLUON),
    "lazypredict": ("LazyPredict 0.3.0, its best", LAZYPREDICT),
}
GRACE = 600  # seconds that a rival may take beyond its time


@dataclass(frozen=True)
class Entry:
    """One line of the table."""

    title: str
    seconds: float
    proba: Floats


def environment(folder: Path, package: str) -> Path:
    """The Python of an environment with this package, made where it is not there."""
    home = folder / package.split("=")[0].split("[")[0]
    python = home / "bin" / "python"
    done = home / "done"
    if not done.exists() or done.read_text() != package:
        print(f"installing {package}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, package], check=True)
        done.write_text(package)
    return python


def ask(rival: str, python: Path, data: Path, seconds: float) -> Entry | str:
    """Run a rival in its environment; a failure comes back as its last line."""
    out = data.with_name(f"{rival}.npz")
    script = Path(__file__).with_name("automl_rival.py")
    free = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    began = time.perf_counter()
    try:
        done = subprocess.run(
            [python, script, rival, data, str(seconds), out],
            capture_output=True, text=True, timeout=seconds + GRACE, cwd=data.parent, env=free,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"not done {GRACE} s after its time"
    took = time.perf_counter() - began
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no message"])[-1][:200]
    chose = [line for line in done.stdout.splitlines() if line.startswith("chose ")]
    with np.load(out, allow_pickle=False) as stored:
        return Entry(" ".join([RIVALS[rival][0], *chose]), took, stored["proba"])


def own(panel: Panel, result: RunResult, seconds: float) -> list[Entry]:
    """Our best model, as given and calibrated, and the two ensembles of the same run."""
    names = [f"proba_{name}" for name in panel.classes]
    best = result.best.name
    found = [Entry(f"ours: {best}", seconds, result.predictions[names].to_numpy())]
    calibrated = [f"calibrated_{name}" for name in panel.classes]
    if set(calibrated) <= set(result.predictions.columns):
        found.append(
            Entry(f"ours: {best}, calibrated", seconds, result.predictions[calibrated].to_numpy())
        )
    for name, title in ENSEMBLES.items():
        rows = result.test_predictions[result.test_predictions["learner"] == name]
        if len(rows):
            found.append(Entry(f"ours: {title.lower()}", seconds, rows[names].to_numpy()))
    return found


def table(panel: Panel, result: RunResult, entries: list[Entry]) -> None:
    rows = result.split.test
    y, groups = panel.y[rows], None if panel.groups is None else panel.groups[rows]
    focus = panel.classes[panel.focus]
    against = compare(
        y, {one.title: one.proba for one in entries}, panel.classes, groups, SEED, entries[0].title
    ).set_index("name")
    print(
        f"\n{'':50s}{'seconds':>8s}{'accuracy':>9s}{'macro-F1':>9s}{'AUC':>7s}{'log-loss':>9s}"
        f"{'recall ' + focus:>16s}  macro-F1 beside the first"
    )
    for one in entries:
        found = measure_all(y, one.proba, panel.classes, panel.focus)
        line = against.loc[one.title]
        beside = f"{line['low']:+.3f} to {line['high']:+.3f}, {line['verdict']}"
        print(
            f"{one.title:50s}{one.seconds:8.0f}{found['accuracy']:9.3f}{found['macro_f1']:9.3f}"
            f"{found['roc_auc_ovr']:7.3f}{found['log_loss']:9.3f}{found[f'recall_{focus}']:16.3f}"
            f"  {beside if one is not entries[0] else ''}".rstrip(),
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--panel", type=Path)
    parser.add_argument("--grid", default="full", choices=("quick", "full"))
    parser.add_argument("--rivals", default=",".join(RIVALS))
    parser.add_argument("--envs", type=Path, default=Path(tempfile.gettempdir(), "automl-envs"))
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    rivals = chosen.rivals.split(",")
    pythons = {one: environment(chosen.envs, RIVALS[one][1]) for one in rivals}
    panel = read(chosen.panel)
    plan = make_plan(
        "company",
        (*DEFAULT_LEARNERS, *ENSEMBLES),
        DEFAULT_SELECTORS,
        chosen.grid,
        SEED,
        2,
        resamplings=RESAMPLINGS,
    )
    began = time.perf_counter()
    result = run(panel, plan)
    seconds = time.perf_counter() - began
    train, test = result.split.train, result.split.test
    said = "SIMULATED companies" if panel.simulated else panel.source
    print(
        f"{platform.machine()}, {os.cpu_count()} cores; {said}: {len(train):,} training and"
        f" {len(test):,} test rows × {len(panel.features)}, no company in both; {seconds:.0f} s"
        f" each (ours: --grid {chosen.grid} --resampling {','.join(RESAMPLINGS)})",
        flush=True,
    )
    entries = own(panel, result, seconds)
    values = panel.X.to_numpy(dtype=np.float64)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data.npz")
        groups = np.arange(len(values)) if panel.groups is None else panel.groups
        codes = np.unique(groups, return_inverse=True)[1]
        np.savez(data, X=values[train], y=panel.y[train], groups=codes[train], test=values[test])
        for rival, python in pythons.items():
            found = ask(rival, python, data, seconds)
            if isinstance(found, str):
                print(f"left out, {RIVALS[rival][0]}: {found}", flush=True)
            else:
                entries.append(found)
    table(panel, result, entries)


if __name__ == "__main__":
    main()
