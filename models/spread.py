"""XGBoost and LightGBM on rows that are spread over a cluster, through their own Dask interfaces.

From `ROWS` rows to fit on, a fit is one for all workers together instead of a task for one of
them: each worker holds a share of each class's rows, and histograms are added up between them.
Sums in another order make trees that differ a little from those of one process, so that results
are equal within noise, not to the bit; below `ROWS` nothing changes.

Early stopping: XGBoost's is that of its interface. LightGBM's workers would each stop by their own
share, and so all rounds are fitted there, and the best number of them is looked up afterwards.
"""

from __future__ import annotations

import importlib
import logging
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from dataclasses import replace
from functools import partial
from typing import Any

import lightgbm
import numpy as np
from scipy.special import expit, softmax
from sklearn.metrics import log_loss

from models.engine import RESUME, ClusterError, Dask, Engine, in_background
from models.learner import Learner, Slice
from models.learners import PATIENCE
from models.panel import Floats, Ints

ROWS = 500_000
LOOK = 1  # seconds between two looks at the workers of a fit
TRIES = 3  # of a fit that a lost worker takes down
STEP = 5  # rounds between two looks at LightGBM's loss

SpreadFit = Callable[[Any, Any, Floats, Ints, Slice | None], int | None]


def spread(learner: Learner, engine: Engine, rows: int) -> Learner:
    """The learner, fitting on all workers of the cluster where it can and the rows are that many.

    Args:
        learner: any.
        engine: that runs the other fits.
        rows: to fit on.
    """
    fit = SPREAD.get(learner.name)
    if not isinstance(engine, Dask) or fit is None or rows < ROWS:
        return learner
    return replace(learner, fit=partial(_with_those_left, fit, engine))


def _with_those_left(
    fit: SpreadFit, engine: Dask, model: Any, X: Floats, y: Ints, stop: Slice | None
) -> int | None:
    """Fit; where a worker is lost, anew with those left.

    Without a worker the fit waits for its share, and the other workers, in native code, for its
    sums: often for ever. So each try has a client of its own, closed to give the fit up, and the
    other workers are ended, to be started again by their nannies.

    Raises:
        ClusterError: workers were lost in all tries, or none is left, or the scheduler is gone.
        Exception: that of the fit, where no worker was lost.
    """
    for _ in range(TRIES):
        workers = engine.some_workers()
        with engine.client_of_its_own() as client:
            task = in_background(partial(_current, client, fit, client, model, X, y, stop))
            while not wait([task], LOOK).done and workers <= (now := set(engine.workers())):
                workers |= now  # one that came may have a share as well
        if task.done():
            error = task.exception()
            if error is None:
                return task.result()
            time.sleep(LOOK)  # a lost worker may be seen by the fit before it is by the scheduler
            if workers <= set(engine.workers()):
                raise error
        engine.end_workers(workers)
    raise ClusterError(
        f"--engine {engine.name}: a worker was lost in each of {TRIES} tries of one fit: most often"
        f" they lack memory (--memory-limit of dask worker); {RESUME}"
    )


def _current(client: Any, fit: Callable[..., int | None], *arguments: Any) -> int | None:
    with client.as_current():
        return fit(*arguments)


def _fit_xgboost(client: Any, model: Any, X: Floats, y: Ints, stop: Slice | None) -> int | None:
    dask = importlib.import_module("xgboost.dask")
    made = dask.DaskXGBClassifier(**model.get_params())
    made.client = client
    workers = sorted(client.nthreads())
    stopped = {}
    if stop is not None:
        made.set_params(early_stopping_rounds=PATIENCE)
        stopped = {"eval_set": [_shares(client, workers, *stop)]}
    made.fit(*_shares(client, workers, X, y), verbose=False, **stopped)
    model.load_model(bytearray(made.get_booster().save_raw("ubj")))
    return None if stop is None else int(made.best_iteration) + 1


def _fit_lightgbm(client: Any, model: Any, X: Floats, y: Ints, stop: Slice | None) -> int | None:
    dask = importlib.import_module("lightgbm.dask")
    made = dask.DaskLGBMClassifier(**{**model.get_params(), "client": client})
    quiet = logging.getLogger("lightgbm")
    quiet.setLevel(logging.ERROR)
    lightgbm.register_logger(quiet)  # it would print of ports and of parameters that it sets itself
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.fit(*_shares(client, sorted(client.nthreads()), X, y))
    vars(model).update(vars(made.to_local()))
    if stop is None:
        return None
    model._best_iteration = model.booster_.best_iteration = _best_round(model, *stop)
    return int(model.best_iteration_)


def _best_round(model: Any, X: Floats, y: Ints) -> int:
    """Rounds after which the loss on the slice is least, looked at every `STEP` of them."""
    classes = np.arange(model.n_classes_)
    scores, losses = 0.0, []
    rounds = range(0, model.booster_.current_iteration(), STEP)
    for at in rounds:
        scores = scores + model.booster_.predict(
            X, raw_score=True, start_iteration=at, num_iteration=STEP
        )
        losses.append(log_loss(y, _probabilities(scores), labels=classes))
    return rounds[int(np.argmin(losses))] + STEP


def _probabilities(scores: Floats) -> Floats:
    if scores.ndim == 1:
        positive = expit(scores)
        return np.column_stack([1 - positive, positive])
    return np.asarray(softmax(scores, axis=1), dtype=np.float64)


def _shares(client: Any, workers: Sequence[str], X: Floats, y: Ints) -> tuple[Any, Any]:
    """The rows and their classes in shares, one held by each worker, all classes in every share.

    SMOTE's rows are the last and of some classes only, and a worker of LightGBM counts classes by
    its own share: unlike counts end it, or make a model of fewer classes. Where a class has fewer
    rows than there are workers, some of them get none.
    """
    array = importlib.import_module("dask.array")
    by_class = np.argsort(y, kind="stable")
    count = min(len(workers), int(np.unique(y, return_counts=True)[1].min()))

    def held(values: Floats | Ints) -> Any:
        parts = []
        for at, worker in enumerate(workers[:count]):
            rows = values[by_class[at::count]]
            sent = client.scatter(rows, workers=[worker], hash=False)
            parts.append(array.from_delayed(sent, rows.shape, rows.dtype))
        return array.concatenate(parts)

    return held(X), held(y)


SPREAD: dict[str, SpreadFit] = {"xgboost": _fit_xgboost, "lightgbm": _fit_lightgbm}
