"""The page of the leak audit: what is probed, and when a finding is called large."""

from __future__ import annotations

from features.audit import PROBES
from features.audit_result import LARGE_AUC, LARGE_GAIN
from reports.grid import escape
from reports.pieces import table


def body() -> str:
    """The page, without its title."""
    rows = (
        (escape(probe.title), escape(probe.shows), escape(f"{probe.subject}: {probe.meaning}"))
        for probe in PROBES
    )
    return f"""A model can score well on a panel without reading a single account: where healthy
companies are reported on in more detail, where one class has the early years, where a source covers
failing companies only. The audit asks how far such things alone predict the label. It is part of
every training run (`--no-audit` leaves it out), and of `python -m features --audit`.

Each probe is a small gradient boosting (scikit-learn's HistGradientBoostingClassifier, one
setting, no tuning, no SMOTE) that predicts each company by a fit on others. Its area under the ROC
curve, one class against the rest, is .5 for guessing; the interval is 95 %, from drawing companies
anew with the fits as they are, and so somewhat too narrow. The last probe fits all features twice,
with companies kept apart and on random rows: what random rows gain, a model gains by recognising
companies.

A finding is called large, and warned of, where the interval lies above {LARGE_AUC}, or where
random rows gain more than {LARGE_GAIN} macro-F1 with the intervals of both gains above 0. A finding
that is not large is no proof that nothing leaks.

{table("probe|what it shows|what a large finding means, and what to do", rows)}"""
