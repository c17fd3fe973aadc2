"""Writing runs."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from daycast.adapters.mlflow_client import connected
from daycast.adapters.tracking.experiments import (
    KEY,
    KIND,
    NOTE,
    PARENT,
    RECORDED,
    TRIAL,
    Tracking,
    experiment,
    search,
)
from daycast.adapters.tracking.results import Results, Trial, lay_out, metrics, params, points

if TYPE_CHECKING:
    from mlflow import MlflowClient

BATCH = 800  # metrics in one request; with 100 parameters and some tags below MLflow's limit of 1000
COMMITS = ("daycast.git_commit", "mlflow.source.git.commit")  # the latter is a column of MLflow's UI, as are these:
SOURCE = {"mlflow.source.name": "daycast", "mlflow.source.type": "LOCAL"}
INHERITED = ("daycast.", "mlflow.source.")  # what a trial takes over from its model's run, but for what means that run:
OWN = (KEY, RECORDED)
STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
_FIND_OR_CREATE = threading.Lock()  # tags are not unique in MLflow: two threads must not both find nothing, then create


def open_run(
    tracking: Tracking, dataset: str, key: str, name: str, tags: Mapping[str, str], values: Mapping[str, Any]
) -> str:
    """Id of the pipeline run with this key in the experiment ``daycast/<dataset>``, running: taken up, or made.

    Its tag ``daycast.run_id`` is its own id; ``values`` are parameters, of which a run keeps the first it was given.
    """
    with connected(tracking.uri) as client, _FIND_OR_CREATE:
        at = experiment(client, tracking, dataset)
        return _opened(client, at, {KEY: key, KIND: "run"}, (name, tags, values))


def child(
    tracking: Tracking, parent: str, key: str, name: str, tags: Mapping[str, str], values: Mapping[str, Any]
) -> str:
    """Id of the run with this key inside ``parent``, of one model: taken up, or made. A recorded one stays ended."""
    with connected(tracking.uri) as client, _FIND_OR_CREATE:
        at = client.get_run(parent).info.experiment_id
        return _opened(client, at, {KEY: key, KIND: "model", PARENT: parent}, (name, tags, values))


def close_run(tracking: Tracking, run_id: str, status: Literal["FINISHED", "FAILED", "KILLED"] = "FINISHED") -> None:
    """End a run; one that ended so before keeps its end time."""
    with connected(tracking.uri) as client:
        if client.get_run(run_id).info.status != status:
            client.set_terminated(run_id, status)


def record(tracking: Tracking, run_id: str, results: Results) -> bool:
    """Log all that a run found, in as few requests as MLflow takes. False, and nothing is done, if it is recorded."""
    with connected(tracking.uri) as client:
        from mlflow.entities import RunTag

        run = client.get_run(run_id)
        if RECORDED in run.data.tags:
            return False
        new, texts = params(results.params, run.data.params)
        _put(client, run_id, {**texts, **results.artifacts}, results.tables)
        values = metrics(results, run.info.start_time)
        if len(values) > BATCH or len(new) > 100:
            client.log_batch(run_id, values[:-BATCH], new)
            new = []
        # The mark goes with the last request: a run that carries it is complete.
        told = {NOTE: results.note, RECORDED: "1"} if results.note else {RECORDED: "1"}
        client.log_batch(run_id, values[-BATCH:], new, [RunTag(name, value) for name, value in told.items()])
    return True


def put(
    tracking: Tracking,
    run_id: str,
    artifacts: Mapping[str, Path | str],
    tables: Mapping[str, pd.DataFrame] | None = None,
) -> None:
    """Write artifacts and tables of a run (see ``Results``), over those of the same name, recorded or not."""
    with connected(tracking.uri) as client:
        _put(client, run_id, artifacts, tables or {})


def trials(tracking: Tracking, run_id: str, found: Sequence[Trial], metric: str, most: int = 100) -> int:
    """Make a run inside ``run_id`` for each trial that has none yet, in three requests each.

    It carries that run's tags too, lineage among them, so that a trial can be found and explained by itself.
    The value is logged as ``metric``, the curve as ``<metric>_by_epoch``; a pruned trial shows as killed.

    Args:
        most: so many trials at most are shown, the best ones; a table of all belongs to ``record``.

    Returns:
        How many were made.
    """
    ranked = sorted(found, key=lambda t: (t.value is None, t.value or 0.0, t.number))[:most]
    with connected(tracking.uri) as client:
        model = client.get_run(run_id)
        at = model.info.experiment_id
        inherited = {n: v for n, v in model.data.tags.items() if n.startswith(INHERITED) and n not in OWN}
        known = {r.data.tags[TRIAL]: r for r in search(client, at, {PARENT: run_id, KIND: "trial"})}
        made = 0
        for trial in sorted(ranked, key=lambda t: t.number):
            run = known.get(str(trial.number))
            if run is not None and run.info.status != "RUNNING":  # a running one was cut off half written
                continue
            if run is None:
                own = {PARENT: run_id, KIND: "trial", TRIAL: str(trial.number), "daycast.state": trial.state}
                tags = inherited | own
                run = client.create_run(at, tags=tags, run_name=f"trial-{trial.number}")
            values = points(metric, {} if trial.value is None else {0: trial.value}, run.info.start_time)
            values += points(f"{metric}_by_epoch", trial.curve, run.info.start_time)
            client.log_batch(run.info.run_id, values, params(trial.parameters, run.data.params)[0])
            client.set_terminated(run.info.run_id, STATUS[trial.state])
            made += 1
    return made


def use_data(tracking: Tracking, run_ids: Sequence[str], dataset: str, data_version: str, file: Path) -> None:
    """Log the data as the MLflow dataset input of runs; its digest is the DVC version, so it leads back to the bytes.

    Args:
        file: Parquet, of which only the column types and the size are read.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.types import ColSpec, Schema
    from pyarrow.parquet import ParquetFile
    from pyarrow.types import is_timestamp

    with ParquetFile(file) as opened:
        schema, rows = opened.schema_arrow, opened.metadata.num_rows
    kinds = {"double": "double", "int64": "long", "bool": "boolean"}
    names = [(f.name, "datetime" if is_timestamp(f.type) else kinds.get(str(f.type), "string")) for f in schema]
    columns = Schema([ColSpec(kind, name) for name, kind in names])
    data = Dataset(
        name=dataset,
        digest=data_version[:36],  # MLflow takes no more
        source_type="local",
        source=json.dumps({"uri": str(file)}),
        schema=json.dumps({"mlflow_colspec": columns.to_dict()}),
        profile=json.dumps({"num_rows": rows, "num_elements": rows * len(names)}),
    )
    with connected(tracking.uri) as client:
        for run_id in run_ids:
            client.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])


def tag(tracking: Tracking, run_id: str, tags: Mapping[str, str]) -> None:
    """Set tags of a run."""
    with connected(tracking.uri) as client:
        for name, value in tags.items():
            client.set_tag(run_id, name, value)


def describe(tracking: Tracking, run_id: str, text: str) -> None:
    """Let MLflow show this Markdown, of 8000 characters at most, as the run's description."""
    tag(tracking, run_id, {NOTE: text})


def _opened(
    client: MlflowClient,
    experiment_id: str,
    identity: Mapping[str, str],
    told: tuple[str, Mapping[str, str], Mapping[str, Any]],
) -> str:
    from mlflow.entities import RunTag

    name, tags, values = told
    found = search(client, experiment_id, identity)
    run = found[0] if found else client.create_run(experiment_id, tags={**identity, **SOURCE, **tags}, run_name=name)
    run_id = run.info.run_id
    wanted = dict(tags) if identity[KIND] == "model" else {**tags, "daycast.run_id": run_id}
    if COMMITS[0] in tags:
        wanted[COMMITS[1]] = tags[COMMITS[0]]
    known = run.data.tags  # a run taken up again keeps the commit it was begun with: the code that counts is the same
    new_tags = [RunTag(n, v) for n, v in wanted.items() if known.get(n) != v and not (n in COMMITS and n in known)]
    new, texts = params(values, run.data.params)
    _put(client, run_id, texts, {})
    if new or new_tags:
        client.log_batch(run_id, params=new, tags=new_tags)
    if run.info.status != "RUNNING" and (identity[KIND] == "run" or RECORDED not in run.data.tags):
        client.update_run(run_id, status="RUNNING")
    return run_id


def _put(
    client: MlflowClient, run_id: str, artifacts: Mapping[str, Path | str], tables: Mapping[str, pd.DataFrame]
) -> None:
    if not artifacts and not tables:
        return
    with tempfile.TemporaryDirectory() as folder:
        lay_out(Path(folder), artifacts, tables)
        client.log_artifacts(run_id, folder)
    if tables:  # what `log_table` would set; that function appends to a table that is there already
        known = json.loads(client.get_run(run_id).data.tags.get("mlflow.loggedArtifacts", "[]"))
        shown = [{"path": f"{name}.json", "type": "table"} for name in tables]
        client.set_tag(run_id, "mlflow.loggedArtifacts", json.dumps(known + [s for s in shown if s not in known]))
