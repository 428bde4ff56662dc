"""XGBoost and LightGBM on rows that are spread over a cluster, through their own Dask interfaces.

From `ROWS` rows to fit on, a fit is one for all workers together instead of a task for one of
them: each worker holds a share of the rows, and histograms are added up between them. Sums in
another order make trees that differ a little from those of one process, so that results are equal
within noise, not to the bit; below `ROWS` nothing changes.

Early stopping: XGBoost's is that of its interface. LightGBM's workers would each stop by their own
share, and so all rounds are fitted there, and the best number of them is looked up afterwards.
"""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from typing import Any

import lightgbm
import numpy as np
from scipy.special import expit, softmax
from sklearn.metrics import log_loss

from models.learner import Learner, Slice
from models.learners import PATIENCE
from models.panel import Floats, Ints

ROWS = 500_000
LOOK = 1  # seconds between two looks at the workers of a fit
TRIES = 3  # of a fit that a lost worker takes down
STEP = 5  # rounds between two looks at LightGBM's loss

SpreadFit = Callable[[Any, Any, Floats, Ints, Slice | None], int | None]


def spread(learner: Learner, client: Any, rows: int) -> Learner:
    """The learner, fitting on all workers of the cluster where it can and the rows are that many.

    Args:
        learner: any.
        client: of the Dask cluster; None without one.
        rows: to fit on.
    """
    fit = SPREAD.get(learner.name)
    if client is None or fit is None or rows < ROWS:
        return learner
    return replace(learner, fit=partial(_with_those_left, fit, client))


def _with_those_left(
    fit: SpreadFit, client: Any, model: Any, X: Floats, y: Ints, stop: Slice | None
) -> int | None:
    """Fit; where a worker is lost, once more on those left."""
    for last in (*[False] * (TRIES - 1), True):
        workers = set(client.nthreads())
        with ThreadPoolExecutor(1) as pool:
            task = pool.submit(_current, client, fit, client, model, X, y, stop)
            try:
                while not wait([task], LOOK).done:
                    if not workers <= set(client.nthreads()):
                        _give_up(client)
            except BaseException:  # Ctrl-C as well: the pool waits for the fit to end
                _give_up(client)
                raise
        error = task.exception()
        if error is None:
            return task.result()
        if last or workers <= set(client.nthreads()):
            raise error
    raise AssertionError  # the last try has returned or raised


def _current(client: Any, fit: Callable[..., int | None], *arguments: Any) -> int | None:
    with client.as_current():
        return fit(*arguments)


def _give_up(client: Any) -> None:
    """Cancel what waits: shares of a fit that a lost worker should have done wait for ever."""
    distributed = importlib.import_module("distributed")
    waiting = [key for key, state in client.futures.items() if state.status == "pending"]
    client.cancel([distributed.Future(key, client) for key in waiting], force=True)


def _fit_xgboost(client: Any, model: Any, X: Floats, y: Ints, stop: Slice | None) -> int | None:
    dask = importlib.import_module("xgboost.dask")
    made = dask.DaskXGBClassifier(**model.get_params())
    made.client = client
    stopped = {}
    if stop is not None:
        made.set_params(early_stopping_rounds=PATIENCE)
        stopped = {"eval_set": [(_shares(client, stop[0]), _shares(client, stop[1]))]}
    made.fit(_shares(client, X), _shares(client, y), verbose=False, **stopped)
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
        made.fit(_shares(client, X), _shares(client, y))
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


def _shares(client: Any, values: Floats | Ints) -> Any:
    """The rows in as many parts as there are workers, held by them."""
    array = importlib.import_module("dask.array")
    size = -(-len(values) // max(1, len(client.nthreads())))
    parts = (size, *values.shape[1:])
    return client.persist(array.from_array(values, chunks=parts))


SPREAD: dict[str, SpreadFit] = {"xgboost": _fit_xgboost, "lightgbm": _fit_lightgbm}
