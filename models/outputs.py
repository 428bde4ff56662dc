"""Write a run's folder: tables, predictions, the model and its card."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from features.audit_result import HEADINGS, Audit, audit_notes, lines
from models.artifact import OTHERS
from models.assess import COVERAGE
from models.evaluate import RunResult
from models.leaderboard import CV
from models.metrics import columns
from models.panel import Panel
from models.saving import library_versions, save
from warehouse.errors import InputError
from warehouse.exports import write_csv
from warehouse.files import make_folder


def refuse_used(out: Path) -> None:
    """Raise InputError where the output folder holds something or cannot be made."""
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise InputError(f"{out}: exists and is not an empty folder; give another --out")


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Give a folder beside `out` to write to, renamed to it at the end, removed on any error.

    Raises:
        InputError: there is no place for it, or somebody else was there first.
    """
    make_folder(out.parent)
    temporary = out.parent / f".run-{os.getpid()}.tmp"
    make_folder(temporary)
    try:
        yield temporary
        temporary.replace(out)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error})") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_run(
    out: Path, result: RunResult, facts: Mapping[str, Any], curve: pd.DataFrame | None = None
) -> None:
    """Write all files of a run, with its learning curve where there is one.

    `facts` gives `command`, `label_rule`, `macro` and, where one was made, `audit`.
    """
    write_csv(result.leaderboard, out / "leaderboard.csv")
    write_csv(result.importance, out / "importance.csv")
    result.results.to_parquet(out / "results.parquet", index=False)
    result.predictions.to_parquet(out / "predictions.parquet", index=False)
    result.test_predictions.to_parquet(out / "test_predictions.parquet", index=False)
    for name in ("comparison", "quality", "reliability", "coverage", "costs"):
        table = getattr(result.assessment, name)
        if len(table):
            write_csv(table, out / f"{name}.csv")
    if curve is not None:
        write_csv(curve, out / "learning_curve.csv")
    _json({"classes": result.panel.classes, "cells": result.confusion}, out / "confusion.json")
    _json(result.kept, out / "features_kept.json")
    _json(panel_summary(result.panel), out / "panel_summary.json")
    _json(_run_facts(result, facts), out / "run.json")
    found = _audit(facts)
    if found is not None:
        _json(found.to_json(), out / "audit.json")
    extra = {"label_rule": facts["label_rule"], "macro": facts["macro"]}
    save(out / "model", result, extra)
    for one in result.others:
        folder = out / OTHERS / f"{one.cell.learner}-{one.cell.selector}"
        save(folder, result, extra, one)
    (out / "model_card.md").write_text(model_card(result, facts), encoding="utf-8")


def _audit(facts: Mapping[str, Any]) -> Audit | None:
    found: Audit | None = facts.get("audit")
    return found


def _notices(result: RunResult, facts: Mapping[str, Any]) -> list[str]:
    """The run's notices and then the warnings of the leak audit, each once."""
    found = _audit(facts)
    return list(dict.fromkeys((*result.notices, *(found.warnings if found else ()))))


def _json(value: object, path: Path) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def panel_summary(panel: Panel) -> dict[str, dict[str, dict[str, int | None]]]:
    """Rows and companies of each class, its companies by sector and its rows by year."""
    rows = pd.DataFrame({"label": [panel.classes[code] for code in panel.y]})
    for name, values in (
        ("company", panel.groups),
        ("year", panel.times),
        ("sector", panel.sector),
    ):
        if values is not None:
            rows[name] = values
    found: dict[str, dict[str, dict[str, int | None]]] = {"classes": {}, "sectors": {}, "years": {}}
    for label, part in rows.groupby("label"):
        companies = int(part["company"].nunique()) if "company" in part else None
        found["classes"][str(label)] = {"rows": len(part), "companies": companies}
        if "company" in part and "sector" in part:
            counts = part.groupby("sector")["company"].nunique()
            found["sectors"][str(label)] = {str(key): int(n) for key, n in counts.items()}
        if "year" in part:
            counts = part.groupby("year").size()
            found["years"][str(label)] = {str(key): int(n) for key, n in counts.items()}
    return found


def _run_facts(result: RunResult, facts: Mapping[str, Any]) -> dict[str, Any]:
    panel, plan = result.panel, result.plan
    counts = panel.X.assign(code=panel.y).groupby("code").size()
    return {
        "source": panel.source,
        "data_hash": panel.data_hash,
        "simulated": panel.simulated,
        "rows": len(panel.y),
        "features": len(panel.features),
        "classes": {name: int(counts[code]) for code, name in enumerate(panel.classes)},
        "companies": None if panel.groups is None else len(set(panel.groups)),
        "train_rows": len(result.split.train),
        "test_rows": len(result.split.test),
        "protocol": plan.protocol.name,
        "learners": plan.learners,
        "selectors": plan.selectors,
        "grid": plan.grid,
        "seed": plan.seed,
        "jobs": plan.jobs,
        "device": plan.device,
        "best": {"learner": result.best.learner, "selector": result.best.selector},
        "command": facts["command"],
        "label_rule": facts["label_rule"],
        "notices": _notices(result, facts),
        "failed": result.failed,
        "timings_seconds": {name: round(value, 3) for name, value in result.timings.items()},
        "versions": library_versions(),
    }


def model_card(result: RunResult, facts: Mapping[str, Any]) -> str:
    """The model card as Markdown, from the facts of the run."""
    template = Path(__file__).with_name("model_card.md.jinja").read_text(encoding="utf-8")
    strict = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701
    panel, plan, best = result.panel, result.plan, result.best
    return strict.from_string(template).render(
        learner=best.learner,
        selector=best.selector,
        simulated=panel.simulated,
        source=panel.source,
        data_hash=panel.data_hash,
        rows_train=len(result.split.train),
        rows_test=len(result.split.test),
        classes=panel.classes,
        label_rule=facts["label_rule"],
        protocol_title=plan.protocol.title,
        protocol_text=plan.protocol.description,
        n_selected=len(result.selected),
        n_features=len(panel.features),
        params=json.dumps(best.params, sort_keys=True),
        grid=plan.grid,
        seed=plan.seed,
        figures=_figures(result),
        unit="rows" if panel.groups is None else "companies",
        cells=len(result.leaderboard),
        tuned=CV in result.leaderboard.columns,
        resampling=best.resampling,
        quality=result.assessment.quality.to_dict("records"),
        coverage=COVERAGE,
        covered=result.assessment.coverage.to_dict("records"),
        costs=result.assessment.costs.to_dict("records"),
        tied=result.assessment.tied,
        confusion=result.confusion[best.name],
        notices=result.notices,
        audit=_audit_part(_audit(facts)),
        versions=library_versions(),
    )


def _audit_part(found: Audit | None) -> dict[str, Any] | None:
    """What the card says of the leak audit: headings, lines, notes and warnings."""
    if found is None:
        return None
    return {
        "headings": HEADINGS,
        "lines": lines(found),
        "notes": audit_notes(found),
        "warnings": found.warnings,
    }


def _figures(result: RunResult) -> list[tuple[str, float, float, float]]:
    rows = result.results
    best = result.best
    chosen = rows[
        (rows["learner"] == best.learner)
        & (rows["selector"] == best.selector)
        & (rows["fold"] == "test")
    ].set_index("metric")
    names = [name for name, _, _ in columns(result.panel.classes, 0)]
    values = chosen.loc[names, ["value", "low", "high"]].itertuples(name=None)
    return [(name, v, low, high) for name, v, low, high in values if math.isfinite(v)]
