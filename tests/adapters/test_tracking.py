"""Runs in a real embedded MLflow store."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient

from daycast.adapters import tracking
from daycast.adapters.tracking import Results, Tracking
from daycast.core.lineage import Lineage
from daycast.errors import ToolError


@dataclass(frozen=True)
class Trial:
    number: int
    state: str = "complete"
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"hidden": 16})
    value: float | None = 1.0
    curve: Mapping[int, float] = field(default_factory=lambda: {1: 2.0, 2: 1.0})


@pytest.fixture
def client(store: Tracking) -> MlflowClient:
    return MlflowClient(store.uri, store.uri)


@pytest.fixture
def run(store: Tracking, request: pytest.FixtureRequest) -> str:
    """A pipeline run of this test alone."""
    return tracking.open_run(store, "demo", request.node.name, "run", {}, {})


@pytest.fixture
def model(store: Tracking, run: str) -> str:
    """A model's run inside it."""
    return tracking.child(store, run, "gru", "gru", {}, {})


def test_a_run_opened_twice_under_one_key_is_one_run(store: Tracking, client: MlflowClient) -> None:
    first = tracking.open_run(store, "demo", "twice", "a", {"daycast.git_commit": "old"}, {"seed": 7})
    tracking.close_run(store, first, "FAILED")
    again = tracking.open_run(store, "demo", "twice", "a", {"daycast.git_commit": "new"}, {"seed": 7, "workers": 2})
    assert again == first
    found = client.get_run(first)
    assert found.info.status == "RUNNING"
    assert found.data.params == {"seed": "7", "workers": "2"}
    assert found.data.tags["daycast.git_commit"] == found.data.tags["mlflow.source.git.commit"] == "old"
    assert found.data.tags["daycast.run_id"] == first


def test_a_changed_parameter_under_the_same_key_keeps_its_first_value(store: Tracking, run: str) -> None:
    key = tracking.find(store, run).tags["daycast.key"]
    tracking.open_run(store, "demo", key, "run", {}, {"workers": 2})
    tracking.open_run(store, "demo", key, "run", {}, {"workers": 4})
    assert tracking.find(store, run).params == {"workers": "2"}


def test_another_key_or_another_dataset_opens_another_run(store: Tracking) -> None:
    opened = [tracking.open_run(store, d, k, "a", {}, {}) for d, k in (("demo", "k1"), ("demo", "k2"), ("other", "k1"))]
    assert len(set(opened)) == 3


def test_threads_that_open_one_key_get_one_run(store: Tracking, run: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: tracking.child(store, run, "same", "m", {}, {}), range(4)))
    assert len(set(opened)) == 1


def test_a_child_is_taken_up_inside_its_own_parent_only(store: Tracking, run: str, model: str) -> None:
    other = tracking.open_run(store, "demo", "another parent", "run", {}, {})
    assert tracking.child(store, run, "gru", "gru", {}, {}) == model
    assert tracking.child(store, other, "gru", "gru", {}, {}) != model
    assert [c.run_id for c in tracking.children(store, run)] == [model]


def test_a_recorded_child_stays_ended_and_its_parent_runs_again(store: Tracking, run: str, model: str) -> None:
    tracking.record(store, model, Results(metrics={"mae": 1.0}))
    tracking.close_run(store, model)
    tracking.close_run(store, run)
    key = tracking.find(store, run).tags["daycast.key"]
    tracking.child(store, tracking.open_run(store, "demo", key, "run", {}, {}), "gru", "gru", {}, {})
    assert tracking.find(store, run).status == "RUNNING"
    assert tracking.find(store, model).status == "FINISHED"


def test_closing_again_keeps_the_end_time(store: Tracking, client: MlflowClient, run: str) -> None:
    tracking.close_run(store, run)
    ended = client.get_run(run).info.end_time
    tracking.close_run(store, run)
    assert client.get_run(run).info.end_time == ended


def test_every_value_keeps_its_name_and_step(store: Tracking, client: MlflowClient, model: str) -> None:
    results = Results(
        params={"hidden": 32, "lags": (7, 364)},
        metrics={"mae": 20.5},
        curves={"train_loss": [3.0, 2.0]},
        by_step={"mae": {1: 19.0, 14: 22.0}},
    )
    assert tracking.record(store, model, results)

    def history(name: str) -> list[tuple[int, float]]:
        return [(m.step, m.value) for m in client.get_metric_history(model, name)]

    assert tracking.find(store, model).params == {"hidden": "32", "lags": "[7, 364]"}
    assert history("mae") == [(0, 20.5)]
    assert history("train_loss") == [(1, 3.0), (2, 2.0)]
    assert history("mae_by_step") == [(1, 19.0), (14, 22.0)]


def test_every_point_of_a_run_is_read_also_what_was_logged_twice(
    store: Tracking, client: MlflowClient, model: str
) -> None:
    by_step = {"mae": {1: 19.0, 14: 22.0}, "mape": {1: math.nan}}
    tracking.record(store, model, Results(metrics={"mae": 20.5}, by_step=by_step))
    client.log_metric(model, "mae", 20.0, step=0)
    client.log_metric(model, "mae_by_step", 19.0, step=1)
    found = tracking.points(store, tracking.find(store, model))
    assert math.isnan(*found.pop(("mape_by_step", 1)))
    assert found == {("mae", 0): (20.0, 20.5), ("mae_by_step", 1): (19.0,), ("mae_by_step", 14): (22.0,)}


def test_recording_twice_logs_nothing_twice(store: Tracking, client: MlflowClient, model: str) -> None:
    results = Results(metrics={"mae": 1.0}, tables={"board": pd.DataFrame({"model": ["gru"]})})
    assert tracking.record(store, model, results)
    assert not tracking.record(store, model, Results(metrics={"mae": 2.0}))
    assert [m.value for m in client.get_metric_history(model, "mae")] == [1.0]
    assert tracking.text(store, model, "board.csv") == "model\ngru\n"


def test_recording_again_after_a_kill_leaves_no_doubles(store: Tracking, client: MlflowClient, model: str) -> None:
    results = Results(
        params={"a": 1},
        metrics={"mae": 1.0, "mase": float("nan")},
        curves={"loss": [2.0, 2.0]},
        tables={"t": pd.DataFrame({"x": [1]})},
    )
    tracking.record(store, model, results)
    client.delete_tag(model, "daycast.recorded")  # as if the process had died before the mark
    more = Results(results.params, {**results.metrics, "rmse": 3.0}, results.curves, tables=results.tables)
    assert tracking.record(store, model, more)
    counts = {name: len(client.get_metric_history(model, name)) for name in ("mae", "mase", "loss", "rmse")}
    assert counts == {"mae": 1, "mase": 1, "loss": 2, "rmse": 1}
    assert len(json.loads(tracking.find(store, model).tags["mlflow.loggedArtifacts"])) == 1
    assert tracking.text(store, model, "t.csv") == "x\n1\n"


def test_more_values_than_one_request_takes_are_all_logged(store: Tracking, client: MlflowClient, model: str) -> None:
    results = Results(params={f"p{i}": i for i in range(130)}, curves={"loss": [float(i) for i in range(1700)]})
    tracking.record(store, model, results)
    assert len(client.get_metric_history(model, "loss")) == 1700
    assert len(tracking.find(store, model).params) == 130


def test_a_long_parameter_goes_to_an_artifact(store: Tracking, run: str, model: str) -> None:
    tracking.record(store, model, Results(params={"space": "x" * 7000, "short": "y"}))
    assert tracking.find(store, model).params["space"].endswith("… (all of it in params/space.txt)")
    assert tracking.find(store, model).params["short"] == "y"
    assert tracking.text(store, model, "params/space.txt") == "x" * 7000
    key = tracking.find(store, run).tags["daycast.key"]
    tracking.open_run(store, "demo", key, "run", {}, {"models": "m" * 600})
    assert tracking.text(store, run, "params/models.txt") == "m" * 600


def test_an_infinite_metric_is_not_a_number(store: Tracking, model: str) -> None:
    tracking.record(store, model, Results(metrics={"mape": math.inf}))
    assert math.isnan(tracking.find(store, model).metrics["mape"])


def test_files_folders_and_texts_become_artifacts(store: Tracking, model: str, tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "one.json").write_text("1")
    (tmp_path / "plot.svg").write_text("<svg/>")
    artifacts = {"model": tmp_path / "weights", "plots/p.svg": tmp_path / "plot.svg", "config.yaml": "seed: 7\n"}
    tracking.record(store, model, Results(artifacts=artifacts))
    paths = ("model/one.json", "plots/p.svg", "config.yaml")
    assert [tracking.text(store, model, p) for p in paths] == ["1", "<svg/>", "seed: 7\n"]


def test_a_table_is_one_that_mlflow_shows(store: Tracking, client: MlflowClient, model: str) -> None:
    rows = pd.DataFrame({"model": ["gru", "naive"], "mae": [1.5, float("nan")]})
    tracking.record(store, model, Results(tables={"leaderboard": rows}))
    tracking.put(store, model, {"note.txt": "later"}, {"leaderboard": rows})
    shown = json.loads(client.get_run(model).data.tags["mlflow.loggedArtifacts"])
    assert shown == [{"path": "leaderboard.json", "type": "table"}]
    told = json.loads(tracking.text(store, model, "leaderboard.json"))
    assert told == {"columns": ["model", "mae"], "data": [["gru", 1.5], ["naive", None]]}
    assert tracking.text(store, model, "note.txt") == "later"


def test_trials_become_runs_once(store: Tracking, client: MlflowClient, model: str) -> None:
    found = [Trial(0), Trial(1, "pruned", value=None), Trial(2, "failed", value=None, curve={})]
    assert tracking.trials(store, model, found, "validation_mae") == 3
    assert tracking.trials(store, model, [*found, Trial(3, value=0.5)], "validation_mae") == 1
    made = tracking.children(store, model, "trial")
    assert [(t.name, t.status) for t in made] == [
        ("trial-0", "FINISHED"),
        ("trial-1", "KILLED"),
        ("trial-2", "FAILED"),
        ("trial-3", "FINISHED"),
    ]
    assert [t.metrics.get("validation_mae") for t in made] == [1.0, None, None, 0.5]
    assert [m.step for m in client.get_metric_history(made[1].run_id, "validation_mae_by_epoch")] == [1, 2]
    assert made[0].params == {"hidden": "16"}


def test_a_trial_cut_off_half_written_is_finished(store: Tracking, client: MlflowClient, model: str) -> None:
    tracking.trials(store, model, [Trial(0)], "validation_mae")
    cut_off = tracking.children(store, model, "trial")[0].run_id
    client.update_run(cut_off, status="RUNNING")
    assert tracking.trials(store, model, [Trial(0)], "validation_mae") == 1
    assert [(t.run_id, t.status) for t in tracking.children(store, model, "trial")] == [(cut_off, "FINISHED")]
    assert len(client.get_metric_history(cut_off, "validation_mae_by_epoch")) == 2


def test_of_many_trials_the_best_are_shown(store: Tracking, model: str) -> None:
    found = [Trial(0, value=3.0), Trial(1, value=1.0), Trial(2, "pruned", value=None), Trial(3, value=2.0)]
    assert tracking.trials(store, model, found, "validation_mae", most=2) == 2
    assert [t.name for t in tracking.children(store, model, "trial")] == ["trial-1", "trial-3"]


def test_the_data_are_an_input_whose_digest_is_their_version(
    store: Tracking, client: MlflowClient, run: str, model: str, tmp_path: Path
) -> None:
    frame = pd.DataFrame({"unique_id": ["rail"], "ds": [pd.Timestamp("2019-01-01")], "y": [1.0], "step": [1]})
    file = tmp_path / "some where" / "demo.parquet"
    file.parent.mkdir()
    frame.to_parquet(file)
    for _ in range(2):
        tracking.use_data(store, [run, model], "demo", "0f" * 16, file)
    for run_id in (run, model):
        (data,) = client.get_run(run_id).inputs.dataset_inputs
        assert (data.dataset.name, data.dataset.digest) == ("demo", "0f" * 16)
        assert json.loads(data.dataset.source) == {"uri": str(file)}
        assert json.loads(data.dataset.profile) == {"num_rows": 1, "num_elements": 4}
        columns = json.loads(data.dataset.schema)["mlflow_colspec"]
        assert [c["type"] for c in columns] == ["string", "datetime", "double", "long"]
        assert [(t.key, t.value) for t in data.tags] == [("mlflow.data.context", "training")]


def test_the_latest_is_the_newest_finished_pipeline_run_with_the_tags(store: Tracking) -> None:
    def made(key: str, backtest: str) -> str:
        return tracking.open_run(store, "latest", key, key, {"daycast.backtest": backtest}, {})

    assert tracking.latest(store, "no such dataset", {}) is None
    old, new, other, running = made("1", "p1"), made("2", "p1"), made("3", "p2"), made("4", "p1")
    assert tracking.latest(store, "latest", {}) is None
    tracking.close_run(store, tracking.child(store, running, "m", "m", {"daycast.backtest": "p1"}, {}))
    for run_id in (old, new, other):
        tracking.close_run(store, run_id)
    found = tracking.latest(store, "latest", {"daycast.backtest": "p1"})
    assert found is not None
    assert found.run_id == new


def test_lineage_travels_as_tags(store: Tracking, run: str) -> None:
    lineage = Lineage("0f" * 16, "abc", "0123", run)
    made = tracking.find(store, tracking.child(store, run, "m", "m", lineage.tags(), {}))
    assert lineage == Lineage(
        *(made.tags[f"daycast.{n}"] for n in ("data_version", "git_commit", "config_hash", "run_id"))
    )


def test_what_is_not_there_is_an_error_that_names_it(store: Tracking, run: str) -> None:
    with pytest.raises(ToolError, match="no-such-run"):
        tracking.find(store, "no-such-run")
    with pytest.raises(ToolError, match="no-such-file"):
        tracking.text(store, run, "no-such-file.txt")


def test_a_deleted_experiment_is_an_error_that_says_how_to_restore_it(store: Tracking, client: MlflowClient) -> None:
    run = tracking.open_run(store, "deleted", "k", "a", {}, {})
    client.delete_experiment(client.get_run(run).info.experiment_id)
    with pytest.raises(ToolError, match="mlflow experiments restore"):
        tracking.open_run(store, "deleted", "k", "a", {}, {})


def test_artifacts_lie_in_the_embedded_folder_and_nothing_in_the_working_directory(
    store: Tracking, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tracking.put(store, model, {"here.txt": "x"})
    assert tracking.text(store, model, "here.txt") == "x"
    assert store.artifacts is not None
    assert (store.artifacts / "daycast" / "demo" / model / "artifacts" / "here.txt").read_text() == "x"
    assert list(tmp_path.iterdir()) == []


def test_only_a_server_has_links(store: Tracking, run: str) -> None:
    assert tracking.link(store, run) is None
