"""What a run's folder says of its leak audit: audit.json, run.json, model_card.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_models_panel import made_up_panel
from test_reports_run import AUDIT, WARNING

from features.audit_result import Audit
from models.evaluate import RunResult, make_plan, run
from models.outputs import write_run

FACTS: dict[str, Any] = {"command": "python -m models.train", "label_rule": "made up", "macro": {}}


@pytest.fixture(scope="module")
def result() -> RunResult:
    return run(made_up_panel(), make_plan("company", ("lr",), ("all",), "paper", seed=0))


def written(folder: Path, result: RunResult, facts: dict[str, Any]) -> tuple[Path, str, list[str]]:
    """The run's folder, its card and its notices."""
    folder.mkdir()
    write_run(folder, result, facts)
    notices = json.loads((folder / "run.json").read_text(encoding="utf-8"))["notices"]
    return folder, (folder / "model_card.md").read_text(encoding="utf-8"), notices


def test_a_run_with_an_audit_keeps_it_whole(result: RunResult, tmp_path: Path) -> None:
    out, card, notices = written(tmp_path / "run", result, FACTS | {"audit": AUDIT})
    assert Audit.from_dict(json.loads((out / "audit.json").read_text(encoding="utf-8"))) == AUDIT
    assert notices == [*result.notices, WARNING]
    section = card.split("## Leak audit\n")[1].split("\n## ")[0]
    assert section.startswith(f"> **Warning:** {WARNING}.\n\n| Predicted from | ROC AUC |")
    assert "| Missing values alone | – | – | – | not run: the same in every row |" in section
    assert "| 0.812 (0.75–0.88) | 0.500 | 0.400 | large |" in section
    assert "\n- 4 rows without a label are left out" in section
    assert card.count(WARNING) == 1


def test_a_run_without_an_audit_says_so(result: RunResult, tmp_path: Path) -> None:
    out, card, notices = written(tmp_path / "run", result, FACTS | {"audit": None})
    assert not (out / "audit.json").exists()
    assert notices == list(result.notices)
    section = card.split("## Leak audit\n")[1].split("\n## ")[0]
    assert section.startswith("No leak audit was made of this panel")


def test_a_card_says_where_nothing_is_large(result: RunResult, tmp_path: Path) -> None:
    clean = Audit.from_dict(AUDIT.to_json() | {"warnings": []})
    _, card, _ = written(tmp_path / "run", result, FACTS | {"audit": clean})
    section = card.split("## Leak audit\n")[1].split("\n## ")[0]
    assert section.startswith("Nothing that was looked for is large.\n\n| Predicted from |")
