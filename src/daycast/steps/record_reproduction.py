"""Log a reproduction: one run in MLflow with its table, its control, its pictures and the publication it is about."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import pandas as pd
import yaml

from daycast.adapters import report, tracking, versioning
from daycast.core import content
from daycast.core.lineage import Lineage
from daycast.settings import Settings
from daycast.steps.record import tracker
from daycast.steps.reproduce import Reproduction, Request


@dataclass(frozen=True)
class Recorded:
    """The run in MLflow, and the picture on disk."""

    run_id: str
    picture: str


def record(settings: Settings, asked: Request, found: Reproduction) -> Recorded:
    """Log what was found; the same figures of the same code and data are the same run, logged once."""
    where, told = tracker(settings), asked.told
    version = "none" if found.data is None else found.data.version
    hashed = content.key(told, asked.rows, asked.seeds, found.config.model_dump(mode="json", exclude={"runner"}))
    key = content.key("reproduce", version, hashed, found.lines.to_json())
    tags = Lineage(version, versioning.commit(settings.root), hashed, "").tags()
    del tags["daycast.run_id"]
    tags |= {"daycast.dataset": told.dataset, "daycast.reproduction": "quick" if asked.quick else "full"}
    params = {"rows": ",".join(asked.rows), "seeds": asked.seeds, "quick": asked.quick, "source": told.source}
    name = f"reproduce{'-quick' if asked.quick else ''}-{version[:6]}-{key[:4]}"
    run_id = tracking.open_run(where, told.dataset, key, name, tags, params)
    if found.data is not None:
        tracking.use_data(where, [run_id], told.dataset, version, versioning.materialise(settings.root, version))
    title = f"{told.dataset}: published, and ours as published ({asked.seeds} seeds)" + (
        ", QUICK: a check of the machinery" if asked.quick else ""
    )
    file = settings.cache("record", key) / "reproduction.png"
    report.reproduction(found.lines, title, file)
    tables = {"reproduction": found.lines}
    artifacts = {
        "plots/reproduction.png": file,
        "published.yaml": yaml.safe_dump(told.model_dump(mode="json"), sort_keys=False),
    }
    for name, controlled in found.controls.items():
        tables[f"{name}/leaderboard"] = controlled.board
        artifacts[f"{name}/decision.json"] = json.dumps(controlled.decision.to_json(), indent=1)
    results = tracking.Results(metrics=_metrics(found.lines), artifacts=artifacts, tables=tables, note=_note(found))
    tracking.record(where, run_id, results)
    tracking.close_run(where, run_id, "FINISHED")
    return Recorded(run_id, str(file))


def _metrics(lines: pd.DataFrame) -> dict[str, float]:
    """``published``, ``measured``, ``ours`` and ``tuned`` of each figure, under names that MLflow takes."""
    values = {}
    for line in lines.to_dict("records"):
        figure = re.sub(r"\W+", "_", str(line["figure"]))
        for column in ("published", "measured", "mean", "tuned"):
            if line[column] == line[column]:
                name = {"mean": "ours"}.get(column, column)
                values[f"{line['row']}.{figure}.{name}"] = float(line[column])
    return values


def _note(found: Reproduction) -> str:
    what = "Published figures, those measured before with other code, ours as published, and ours tuned"
    told = [f"{what}: the table `reproduction`.", ""]
    for name, controlled in found.controls.items():
        verdict = "nothing" if controlled.passed else f"**{controlled.decision.winner}**"
        told.append(f"- {name}: {verdict} is promoted over the mean; RMSE of the noise itself {controlled.own:.2f}")
    return "\n".join(told)
