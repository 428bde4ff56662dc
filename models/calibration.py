"""Calibrated probabilities: a correction fitted on out-of-fold probabilities of training rows.

Models are fitted on rows that SMOTE has balanced, so they give a rare class too much; boosters and
nearest neighbours are too sure of themselves besides. Let l be the logarithm of the probabilities
of a row, classes k. The calibrated ones are softmax(W l + b), as in Dirichlet calibration (Kull et
al., "Beyond temperature scaling", NeurIPS 2019), with W = a I + D. The temperature a >= 0 and the
biases b are free, D is held near zero by an L2 penalty. With few rows or many classes what is left
is a temperature and a bias per class (Alexandari et al., "Maximum likelihood with bias-corrected
calibration is hard-to-beat at label shift adaptation", ICML 2020); with many rows the whole matrix
is learnt.

Why this one. Means over eight learners (quick grid, three folds, all columns) on training rows:
"India" is the real Indian panel (2,767), "distress" the public set of three classes (2,742),
"Polish" the first Polish file (two classes, 5,270). Each calibration was fitted on four fifths of
the companies (rows of the Polish file, which names none) and scored on the last, five times over.
Log loss / ECE of the top class, 15 bins / ECE of all classes, 10 bins:

| | India | distress | Polish |
|---|---|---|---|
| as given | .937 / .069 / .066 | 1.551 / .088 / .099 | .635 / .063 / .112 |
| priors alone | .930 / .069 / .051 | 1.509 / .088 / .064 | .564 / .034 / .035 |
| temperature and biases | .331 / .027 / .018 | .534 / .026 / .023 | .132 / .005 / .006 |
| whole matrix, logistic regression | .322 / .015 / .013 | .526 / .021 / .017 | .132 / .004 / .006 |
| this one | .323 / .016 / .012 | .527 / .021 / .017 | .132 / .004 / .006 |

The shift of priors alone is not enough: what was learnt on balanced rows is too sure as well. The
plain whole matrix loses to temperature and biases where there are 100 rows or fewer, 1,000 of the
Polish file, or many classes (simulated, 50 classes and 200 rows: log loss 2.28 against 1.74, the
truth 1.44). With the penalty on D alone the log loss is within 0.001 of the matrix's on the whole
panels and near that of temperature and biases on few rows; beyond ten classes D is zero. Penalty
and floor were chosen on these panels, the penalty as the round number between 50 and 200, which do
as well; the two rows above the last have a floor of 0.001.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.panel import MOST_CLASSES, Floats, Ints
from warehouse.errors import InputError

# Added to each probability before its logarithm: nearest neighbours and forests say exactly 0.
# 0.001 fits the panels above no better (log loss less by 0.001 at most) and sure models of 20
# simulated classes worse (1.26 against 1.22, the truth 1.19).
FLOOR = 1e-4
PENALTY = 100.0
MATRIX_CLASSES = 10  # with more, D is zero
OFF = 1e-3  # that the sum of a row may differ from 1: learners that count in 32 bits
LARGEST = 1e6  # of a number in a saved calibration; fitted ones are below 100


@dataclass(frozen=True)
class Calibration:
    """softmax(weights @ log-probabilities + bias), the logarithms of p + 0.0001.

    `counts` are the rows of each class that it rests on. A class without a row keeps a probability
    above 0; its count of 0 says that nothing is known of it.

    The class of highest probability is often another one than before: on honest priors a rare
    class seldom is the likeliest. Rank and count hits by the probabilities as given, and flag rows
    by `models.decision`.
    """

    weights: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def fit(cls, proba: Floats, y: Ints) -> Calibration:
        """Fit on out-of-fold probabilities (rows x classes) and class codes of the same rows.

        The targets hold one row more than there is, of which each class has an equal part, as
        Platt (1999) has it: no fit is perfect, however few the rows, and a class without a row
        gets a small probability instead of none. On the rows it is fitted on, the mean
        probability of a class is then its share in the targets, whatever the model was trained on.

        Raises:
            InputError: not probabilities of 2 to 50 classes, no row, or codes that do not fit.
        """
        logs = _logs(checked_proba(proba))
        codes = checked_codes(y, logs)
        rows, size = logs.shape
        targets = (rows * np.eye(size)[codes] + 1 / size) / (rows + 1)
        temperature, bias, matrix = _parts(_minimum(logs, targets), size)
        weights = temperature * np.eye(size) + matrix
        return cls(
            tuple(tuple(float(value) for value in row) for row in weights),
            tuple(float(value) for value in bias - bias.mean()),
            tuple(int(count) for count in np.bincount(codes, minlength=size)),
        )

    def apply(self, proba: Floats) -> Floats:
        """Calibrated probabilities (rows x classes) of the same model; each row sums to 1."""
        given = checked_proba(proba, least=0)
        if given.shape[1] != len(self.bias):
            raise InputError(
                f"a calibration of {len(self.bias)} classes, probabilities of {given.shape[1]}"
            )
        scores = _logs(given) @ np.array(self.weights).T + np.array(self.bias)
        parts = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(parts / parts.sum(axis=1, keepdims=True), dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """Plain numbers for a manifest."""
        return {
            "weights": [list(row) for row in self.weights],
            "bias": list(self.bias),
            "counts": list(self.counts),
        }

    @classmethod
    def from_json(cls, value: object) -> Calibration:
        """Read what `to_json` gave; raise InputError if any value is not what it must be."""
        fields = checked_fields(value, ("weights", "bias", "counts"), "calibration")
        bias = checked_numbers(fields["bias"], "calibration, 'bias'")
        size = len(bias)
        if not 2 <= size <= MOST_CLASSES:
            raise InputError(f"calibration: 2 to {MOST_CLASSES} classes expected, got {size}")
        rows = fields["weights"]
        if not isinstance(rows, list) or len(rows) != size:
            raise InputError(f"calibration, 'weights': expected {size} lists of {size} numbers")
        weights = tuple(checked_numbers(row, "calibration, 'weights'", size) for row in rows)
        return cls(weights, bias, checked_counts(fields["counts"], "calibration", size))


def _logs(proba: Floats) -> Floats:
    return np.asarray(np.log((proba + FLOOR) / (1 + FLOOR * proba.shape[1])), dtype=np.float64)


def _parts(values: Floats, size: int) -> tuple[float, Floats, Floats]:
    """Temperature, biases and matrix, which is zero where it is not learnt."""
    matrix = values[1 + size :] if len(values) > 1 + size else np.zeros(size * size)
    return float(values[0]), values[1 : 1 + size], matrix.reshape(size, size)


def _minimum(logs: Floats, targets: Floats) -> Floats:
    """Parameters of the least penalised loss, as `_parts` reads them; it is convex."""
    from scipy.optimize import minimize  # to fit alone: a score should not wait for it
    from scipy.special import log_softmax

    rows, size = logs.shape

    def loss(values: Floats) -> tuple[float, Floats]:
        temperature, bias, matrix = _parts(values, size)
        said = log_softmax(temperature * logs + logs @ matrix.T + bias, axis=1)
        apart = (np.exp(said) - targets) / rows
        slope = np.r_[(apart * logs).sum(), apart.sum(axis=0)]
        if len(values) > len(slope):
            slope = np.r_[slope, (apart.T @ logs + PENALTY / rows * matrix).ravel()]
        total = -(targets * said).sum() + PENALTY / 2 * (matrix**2).sum()
        return float(total / rows), slope

    start = np.r_[1.0, np.zeros(size + (size * size if size <= MATRIX_CLASSES else 0))]
    bounds = [(0.0, None), *[(None, None)] * (len(start) - 1)]
    limits = {"maxiter": 500, "ftol": 1e-10, "gtol": 1e-7}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=limits)
    return np.asarray(found.x, dtype=np.float64)


def reliability(y: Ints, proba: Floats, classes: tuple[str, ...], bins: int = 10) -> pd.DataFrame:
    """How often a class comes true where a model gave it a probability.

    Bins hold about equally many rows each (quantiles of the probability of the class). Bins of
    equal width would hold nearly all rows of a rare class in the first and a handful in each of
    the others. Equal probabilities share a bin, so there may be fewer bins than asked for.

    Returns:
        One row per class and bin: `class`, `bin` (from 0), `predicted` (mean probability),
        `observed` (share of rows of the class), `rows`, and `low`, `high`: the 95 % interval of
        that share by Wilson's formula. It takes rows as independent; those of one company are
        not, so the truth is wider.
    """
    given = checked_proba(proba)
    codes = checked_codes(y, given)
    if len(classes) != given.shape[1] or bins < 1:
        raise InputError(
            f"expected {given.shape[1]} names of classes and 1 bin or more, got {len(classes)}"
            f" and {bins}"
        )
    rows = [
        (name, *line)
        for code, name in enumerate(classes)
        for line in _bins(given[:, code], codes == code, bins)
    ]
    names = ["class", "bin", "predicted", "observed", "rows", "low", "high"]
    return pd.DataFrame(rows, columns=names)


def _bins(said: Floats, found: NDArray[np.bool_], bins: int) -> list[tuple[Any, ...]]:
    edges = np.quantile(said, np.linspace(0, 1, bins + 1)[1:-1], method="higher")
    numbers = np.unique(np.searchsorted(np.unique(edges), said, "right"), return_inverse=True)[1]
    lines = []
    for number in range(int(numbers.max()) + 1):
        at = numbers == number
        hits, rows = int(found[at].sum()), int(at.sum())
        lines.append((number, float(said[at].mean()), hits / rows, rows, *wilson(hits, rows)))
    return lines


def wilson(hits: int, rows: int) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson's formula (rows > 0)."""
    from scipy.stats import binomtest  # not needed to score

    found = binomtest(hits, rows).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)


def checked_proba(proba: Floats, least: int = 1) -> Floats:
    """The probabilities (rows x classes), each row divided by its sum.

    Raises:
        InputError: not numbers from 0 to 1 of 2 to 50 classes that sum to 1, or too few rows.
    """
    given = np.asarray(proba, dtype=np.float64)
    if given.ndim != 2 or not 2 <= given.shape[1] <= MOST_CLASSES:
        raise InputError(
            f"expected probabilities of 2 to {MOST_CLASSES} classes, got a table of {given.shape}"
        )
    if len(given) < least:
        raise InputError(f"expected probabilities of {least} row or more, got {len(given)}")
    sums = given.sum(axis=1)
    with np.errstate(invalid="ignore"):
        good = (given >= -OFF).all(axis=1) & (np.abs(sums - 1) <= OFF)
    if not good.all():  # NaN and infinity among them
        first = int(np.argmin(good))
        raise InputError(
            f"row {first + 1}: expected probabilities that sum to 1, got {given[first].tolist()!s}"
        )
    given = np.maximum(given, 0.0)
    return np.asarray(given / given.sum(axis=1, keepdims=True), dtype=np.float64)


def checked_codes(y: Ints, proba: Floats) -> Ints:
    """The class codes of the rows of `proba`; InputError if they are not one per row and known."""
    codes = np.asarray(y)
    rows, size = proba.shape
    if codes.shape != (rows,) or not np.issubdtype(codes.dtype, np.integer):
        raise InputError(f"expected {rows} class codes, got {codes.dtype} of shape {codes.shape}")
    if rows and not (codes.min() >= 0 and codes.max() < size):
        raise InputError(f"expected class codes 0 to {size - 1}, got {codes.min()}–{codes.max()}")
    return codes.astype(np.int64)


def checked_owners(groups: NDArray[np.str_] | None, rows: int) -> Ints:
    """A number per row from 0, the same for rows of a company; each row its own without companies.

    Raises:
        InputError: not one company per row.
    """
    if groups is None:
        return np.arange(rows)
    if len(groups) != rows:
        raise InputError(f"expected {rows} companies, one per row, got {len(groups)}")
    return np.asarray(np.unique(groups, return_inverse=True)[1], dtype=np.int64)


def checked_fields(value: object, names: tuple[str, ...], what: str) -> dict[str, Any]:
    """An object of these fields and no other, as read from JSON; else InputError."""
    if not isinstance(value, dict) or set(value) != set(names):
        raise InputError(f"{what}: expected an object of {', '.join(names)}")
    return value


def checked_numbers(
    value: object, what: str, size: int | None = None, largest: float = LARGEST
) -> tuple[float, ...]:
    """A list of finite numbers, `size` of them if given; else InputError."""
    if not isinstance(value, list) or (size is not None and len(value) != size):
        raise InputError(f"{what}: expected a list of {'' if size is None else size} numbers")
    return tuple(checked_number(item, what, largest) for item in value)


def checked_number(value: object, what: str, largest: float = LARGEST) -> float:
    """One finite number of at most that size, no truth value; else InputError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{what}: expected a number, got {str(value)[:80]!r}")
    if not (abs(value) <= largest and math.isfinite(value)):
        raise InputError(f"{what}: expected a number up to {largest:g}, got {str(value)[:80]}")
    return float(value)


def checked_counts(value: object, what: str, size: int) -> tuple[int, ...]:
    """A list of `size` whole numbers from 0; else InputError."""
    if not isinstance(value, list) or len(value) != size:
        raise InputError(f"{what}: expected {size} counts")
    for item in value:
        if isinstance(item, bool) or not isinstance(item, int) or not 0 <= item < 2**53:
            raise InputError(f"{what}: expected a count, got {str(item)[:80]!r}")
    return tuple(value)
