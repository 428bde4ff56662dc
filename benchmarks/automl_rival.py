"""One rival of `benchmarks/automl.py`, run by that script in the rival's own environment.

    python automl_rival.py RIVAL DATA.npz SECONDS OUT.npz

DATA has X, y and company numbers of the training rows and X of the test rows; OUT gets
probabilities of the test rows, in the order of the class codes. Nothing of the project is imported.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

SEED = 0
FOLDS = 5


class Data:
    """What the rivals are given."""

    def __init__(self, path: str) -> None:
        with np.load(path, allow_pickle=False) as stored:
            self.X, self.y, self.groups = stored["X"], stored["y"], stored["groups"]
            self.test = stored["test"]

    def folds(self) -> np.ndarray:
        """Number of the fold of each row; a company is in one."""
        from sklearn.model_selection import StratifiedGroupKFold

        found = np.zeros(len(self.y), dtype=int)
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED)
        for at, (_, rows) in enumerate(folds.split(self.X, self.y, self.groups)):
            found[rows] = at
        return found


def flaml(data: Data, seconds: float, metric: str) -> np.ndarray:
    """Missing values are medians of the training rows: some of its learners take none."""
    from flaml import AutoML
    from sklearn.impute import SimpleImputer

    medians = SimpleImputer(strategy="median", keep_empty_features=True).fit(data.X)
    found = AutoML()
    found.fit(
        medians.transform(data.X), data.y, task="classification", metric=metric,
        time_budget=seconds, n_jobs=2, eval_method="cv", n_splits=FOLDS, split_type="group",
        groups=data.groups, seed=SEED, verbose=0,
    )  # fmt: skip
    return found.predict_proba(medians.transform(data.test))


def autogluon(data: Data, seconds: float, preset: str) -> np.ndarray:
    from autogluon.tabular import TabularPredictor

    names = [f"x{at}" for at in range(data.X.shape[1])]
    rows = pd.DataFrame(data.X, columns=names).assign(label=data.y)
    folds = data.folds()
    bagged = preset != "medium_quality"
    with tempfile.TemporaryDirectory() as folder:
        found = TabularPredictor(
            "label", eval_metric="f1_macro", path=folder, verbosity=1,
            groups="fold" if bagged else None,
        )  # fmt: skip
        options = {"presets": preset, "time_limit": seconds, "num_cpus": 2}
        if bagged:
            found.fit(rows.assign(fold=folds), dynamic_stacking=False, **options)
        else:
            found.fit(rows[folds > 0], tuning_data=rows[folds == 0], **options)
        given = found.predict_proba(pd.DataFrame(data.test, columns=names))
    return given[sorted(given.columns)].to_numpy()


def lazypredict(data: Data, seconds: float, _: str) -> np.ndarray:
    """All its classifiers; the best by macro-F1 on one fold of companies is fitted on all rows."""
    from lazypredict.Supervised import LazyClassifier
    from sklearn.metrics import f1_score

    score = data.folds() == 0
    lazy = LazyClassifier(verbose=0, ignore_warnings=True, predictions=True, random_state=SEED)
    split = (data.X[~score], data.X[score], data.y[~score], data.y[score])
    _, predictions = lazy.fit(*map(pd.DataFrame, split[:2]), *split[2:])
    fitted = lazy.provide_models(*map(pd.DataFrame, split[:2]), *split[2:])
    figures = {
        name: f1_score(split[3], predictions[name], average="macro")
        for name, model in fitted.items()
        if name in predictions and hasattr(model, "predict_proba")
    }
    best = max(figures, key=lambda name: figures[name])
    print(f"chose {best}")
    model = fitted[best].fit(pd.DataFrame(data.X), data.y)
    return model.predict_proba(pd.DataFrame(data.test))


RIVALS: dict[str, tuple[Callable[[Data, float, str], np.ndarray], str]] = {
    "flaml": (flaml, "macro_f1"),
    "flaml-log-loss": (flaml, "log_loss"),
    "autogluon": (autogluon, "medium_quality"),
    "autogluon-good": (autogluon, "good_quality"),
    "lazypredict": (lazypredict, ""),
}


def main() -> None:
    name, path, seconds, out = sys.argv[1:]
    warnings.simplefilter("ignore")
    fit, option = RIVALS[name]
    proba = fit(Data(path), float(seconds), option)
    np.savez(out, proba=np.asarray(proba, dtype=np.float64))


if __name__ == "__main__":
    main()
