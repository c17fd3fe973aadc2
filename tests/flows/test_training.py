"""The main job, for real, on tiny data: what it leaves behind, and what a second run does not do again."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from mlflow import MlflowClient
from tests.project import MODELS, Project

from daycast.adapters import registry, tracking
from daycast.core import conformal, metrics
from daycast.core.forecast import band
from daycast.core.lineage import Lineage
from daycast.steps import compare, intervals, keys, record, tune
from daycast.steps.outcomes import Outcome
from daycast.steps.reference import BacktestRef

pytestmark = pytest.mark.xdist_group("flows")

Trained = tuple[Project, Outcome]
KEPT = ("transform", "window", "tune", "fit", "backtest")
LEVELS = ("q0.025", "q0.1", "q0.5", "q0.9", "q0.975")
LINEAGE = ("data_version", "git_commit", "config_hash", "run_id")


@pytest.fixture
def client(project: Project) -> MlflowClient:
    """Of the project's store."""
    return MlflowClient(project.settings.tracking_uri, project.settings.tracking_uri)


@pytest.fixture
def outcome(trained: Trained) -> Outcome:
    """What the first run came to."""
    return trained[1]


def trials_of(project: Project) -> dict[str, int]:
    """How many trials each search has had."""
    return {s.study_name: s.n_trials for s in optuna.get_all_study_summaries(project.settings.studies_url)}


def artifacts(client: MlflowClient, run_id: str, path: str | None = None) -> set[str]:
    """Paths of a run's artifacts."""
    found = set()
    for item in client.list_artifacts(run_id, path):
        found |= artifacts(client, run_id, item.path) if item.is_dir else {item.path}
    return found


def test_a_run_ends_with_a_champion_and_its_forecast(project: Project, outcome: Outcome) -> None:
    assert outcome.champion is not None
    assert outcome.forecast is not None
    assert outcome.forecast.served_by == outcome.champion
    assert (outcome.forecast.n_rows, outcome.forecast.new_rows) == (2 * 7, 2 * 7)
    assert Path(outcome.forecast.plot).read_bytes().startswith(b"\x89PNG")
    made = registry.versions(project.settings.tracking_uri, outcome.champion.name)
    champion = next(v for v in made if v.number == outcome.champion.version)
    lineage = Lineage(**{k: getattr(outcome.run, k) for k in LINEAGE})
    assert lineage.tags().items() <= champion.tags.items()
    assert champion.tags["daycast.model"] == outcome.champion.model == outcome.board.winner


def test_the_champion_s_intervals_are_those_that_its_backtest_would_have_issued_next(
    project: Project, outcome: Outcome
) -> None:
    assert outcome.forecast is not None
    config, name = project.config(), outcome.forecast.served_by.model
    tested = BacktestRef(model=name, key=keys.backtest(config, project.data, name))
    rows = compare.rows(project.settings, tested)
    (tuned,) = [t for t in outcome.tuned if t.model == name]
    calibration = tune.calibration(project.settings, tuned)
    made = pd.read_csv(outcome.forecast.rows, parse_dates=["cutoff", "ds"])
    assert made["cutoff"].unique().tolist() == [rows["ds"].max()]  # all that the backtest has seen
    bare = made[["unique_id", "cutoff", "ds", "step", "y_hat"]].assign(y=float("nan"))
    seen = rows[[*bare.columns]]
    expected = intervals.issued(config, name, pd.concat([seen, bare]), calibration).iloc[len(seen) :]
    pd.testing.assert_frame_equal(
        made.drop(columns=["unique_id", "ds", "cutoff", "role", "fallback_reason"]),
        expected[["step", "y_hat", *LEVELS]],
    )
    fixed = band(bare, conformal.offsets(calibration), config.dataset.floor)
    assert (made["q0.9"] - fixed["q0.9"]).abs().max() > 1e-3 * made["y_hat"].mean()


def test_every_model_is_on_the_leaderboard_at_the_same_rows(project: Project, outcome: Outcome) -> None:
    board, decision = compare.read(project.settings, outcome.board)
    assert sorted(board["model"]) == sorted(MODELS)
    assert board["n_rows"].tolist() == [2 * 5 * 7] * 5  # series, origins, steps
    assert decision.promote
    assert decision.winner == outcome.board.winner


def test_runs_are_a_parent_its_models_and_their_trials_with_lineage_on_each(project: Project, outcome: Outcome) -> None:
    parent = tracking.find(project.tracking, outcome.run.run_id)
    children = tracking.children(project.tracking, parent.run_id)
    assert sorted(c.name for c in children) == sorted(MODELS)
    trials = {c.name: tracking.children(project.tracking, c.run_id, "trial") for c in children}
    assert {name: len(found) for name, found in trials.items()} == dict.fromkeys(MODELS, 0) | {"gru": 2}
    every = [parent, *children, *(t for found in trials.values() for t in found)]
    lineage = Lineage(**{k: getattr(outcome.run, k) for k in LINEAGE})
    for run in every:
        assert lineage.tags().items() <= run.tags.items(), run.name
        assert run.tags["mlflow.source.git.commit"] == outcome.run.git_commit, run.name
        assert run.status in ("FINISHED", "KILLED"), run.name  # killed: a pruned trial
    assert len(outcome.run.git_commit) == 40
    assert lineage.data_version == project.data.version


def test_metrics_have_the_same_names_in_every_model(project: Project, outcome: Outcome) -> None:
    children = tracking.children(project.tracking, outcome.run.run_id)
    names = {c.name: {m for m in c.metrics if not m.startswith(("train_loss", "val_loss"))} for c in children}
    wanted = {*metrics.METRICS, "validation_mase", "relative_width_80", "relative_width_95"}
    wanted |= {f"pinball_{level:g}" for level in conformal.LEVELS}
    wanted |= {f"{name}_by_step" for name in record.BY_STEP} | {"rail.mae", "rail.mase", "bus.mae", "bus.mase"}
    assert names == dict.fromkeys(MODELS, wanted) | {"gru": wanted | {"search_work"}}  # the one that was searched
    parent = tracking.find(project.tracking, outcome.run.run_id)
    best = next(c for c in children if c.name == outcome.board.winner)
    shared = set(parent.metrics) - {"skill", "mae_low", "mae_high"}  # these are of the table alone
    assert {m: parent.metrics[m] for m in shared} == pytest.approx({m: best.metrics[m] for m in shared})
    assert {"mae", "mase", "coverage_80"} <= shared
    assert parent.metrics["mae_low"] < parent.metrics["mae"] < parent.metrics["mae_high"]


def test_curves_are_logged_by_epoch_and_errors_by_horizon_step(client: MlflowClient, outcome: Outcome) -> None:
    where = {
        r.info.run_name: r.info.run_id
        for r in client.search_runs([client.get_run(outcome.run.run_id).info.experiment_id])
    }
    steps = {m.step: m.value for m in client.get_metric_history(where["seasonal_naive"], "mase_by_step")}
    assert sorted(steps) == [1, 2, 3, 4, 5, 6, 7]
    overall = client.get_run(where["seasonal_naive"]).data.metrics["mase"]
    assert sum(steps.values()) / 7 == pytest.approx(overall)  # as many origins at each step
    covered = client.get_metric_history(where["seasonal_naive"], "coverage_80_by_step")
    assert [m.step for m in covered] == [1, 2, 3, 4, 5, 6, 7]
    assert {round(m.value * 10, 6) % 1 for m in covered} == {0.0}  # of two series of five origins
    for member in (1, 2):
        for curve in ("train_loss", "val_loss"):
            assert [m.step for m in client.get_metric_history(where["gru"], f"{curve}_{member}")] == [1, 2]
    epochs = client.get_metric_history(where["trial-0"], "validation_mase_by_epoch")
    assert [m.step for m in epochs] == [1, 2, 4]  # a rung, and the ends of two folds of two epochs


def test_the_run_holds_configuration_pointers_validation_leaderboard_and_pictures(
    client: MlflowClient, project: Project, outcome: Outcome
) -> None:
    run = outcome.run.run_id
    tables = {f"{name}.{kind}" for name in ("leaderboard", "stationarity") for kind in ("csv", "json")}
    files = {"config.yaml", "data_pointers.json", "validation.json", "decision.json", "versions.json", "gate.json"}
    assert artifacts(client, run) == tables | files | {"plots/leaderboard.png"}
    assert json.loads(tracking.text(project.tracking, run, "validation.json"))["success"]
    assert json.loads(tracking.text(project.tracking, run, "data_pointers.json")) == outcome.data.pointers
    shown = json.loads(client.get_run(run).data.tags["mlflow.loggedArtifacts"])
    assert {"path": "leaderboard.json", "type": "table"} in shown
    stationarity = pd.read_csv(io.StringIO(tracking.text(project.tracking, run, "stationarity.csv")))
    assert set(stationarity["series"]) == {"as it is", "differenced at 7"}
    assert set(stationarity["unique_id"]) == {"bus", "rail"}


def test_a_models_run_holds_its_pictures_scores_weights_and_the_state_of_its_transforms(
    client: MlflowClient, project: Project, outcome: Outcome
) -> None:
    children = {c.name: c.run_id for c in tracking.children(project.tracking, outcome.run.run_id)}
    every = {"model/config.json", "model/weights.safetensors"}
    every |= {f"scores_by_{by}.{kind}" for by in ("series", "step") for kind in ("csv", "json")}
    every |= {"plots/coverage_by_step.png", "plots/forecast_against_actual.png"}
    every |= {"plots/residual_autocorrelation.png"}
    assert artifacts(client, children["naive"]) == every
    searched = {f"plots/{name}.png" for name in ("training_curves", "tuning_history", "tuning_curves")}
    assert artifacts(client, children["gru"]) == every | searched | {"transform.json", "trials.csv", "trials.json"}
    table = pd.read_csv(io.StringIO(tracking.text(project.tracking, children["gru"], "trials.csv")))
    assert table["trial"].tolist() == [0, 1]
    assert table["search.hidden"].tolist()[0] == 6
    run = client.get_run(children["gru"]).data
    assert run.params["search.hidden"] == run.params["hidden"]
    assert run.metrics["search_work"] == pytest.approx(table["work"].mean())
    told = json.loads(tracking.text(project.tracking, children["gru"], "transform.json"))
    served = json.loads(tracking.text(project.tracking, children["gru"], "model/config.json"))
    assert told["transform"] == served["values"]["members"][0]["transform"]
    assert not [a for run in children.values() for a in artifacts(client, run) if a.endswith((".pkl", ".pickle"))]


def test_the_data_are_an_input_of_the_run_and_of_its_models(client: MlflowClient, outcome: Outcome) -> None:
    at = client.get_run(outcome.run.run_id).info.experiment_id
    own = f"tags.`daycast.kind` != 'trial' and tags.`daycast.data_version` = '{outcome.data.version}'"
    found = client.search_runs([at], own)  # others are of tests that scramble the data
    assert len(found) > len(MODELS)
    for run in found:
        (data,) = run.inputs.dataset_inputs
        assert (data.dataset.name, data.dataset.digest) == ("tiny", outcome.data.version)


def test_prefect_shows_the_leaderboard(project: Project, outcome: Outcome) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

    named = ArtifactFilter(key=ArtifactFilterKey(any_=["leaderboard-tiny"]))
    with get_client(sync_client=True) as prefect:
        found = prefect.read_artifacts(artifact_filter=named)
    board, decision = compare.read(project.settings, outcome.board)
    shown = [a for a in found if [line["model"] for line in json.loads(str(a.data))] == board["model"].tolist()]
    assert shown
    assert all(decision.reasons[-1] in str(a.description) for a in shown)


def logged(client: MlflowClient, experiment: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """All runs of an experiment, and all points of their metrics."""
    runs = {r.info.run_id: r.to_dictionary() for r in client.search_runs([experiment])}
    return runs, {
        (run, name): client.get_metric_history(run, name)
        for run, told in runs.items()
        for name in told["data"]["metrics"]
    }


def task_states(name: str) -> dict[str, str]:
    """Task run -> state of the newest flow run, which must have this name."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
    from prefect.client.schemas.sorting import FlowRunSort

    with get_client(sync_client=True) as prefect:
        (newest,) = prefect.read_flow_runs(limit=1, sort=FlowRunSort.START_TIME_DESC)
        found = prefect.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[newest.id])))
    assert newest.name == name
    return {run.name: str(run.state_name) for run in found}


def test_the_same_run_again_takes_all_it_can_from_the_cache_and_logs_nothing_twice(
    client: MlflowClient, project: Project, outcome: Outcome
) -> None:
    at, parent = client.get_run(outcome.run.run_id).info.experiment_id, outcome.run.run_id
    before, points = logged(client, at)
    again = project.train()
    assert project.cached == {f"{step} {model}" for step in (*KEPT, "record") for model in MODELS}
    assert {line.split()[0] for line in project.ran}.isdisjoint(KEPT)
    assert (again.run, again.champion, again.board) == (outcome.run, outcome.champion, outcome.board)
    assert again.forecast is not None
    assert again.forecast.new_rows == 0
    after, points_after = logged(client, at)
    assert {k: v for k, v in after.items() if k != parent} == {k: v for k, v in before.items() if k != parent}
    assert after[parent]["data"] == before[parent]["data"]
    assert points_after == points
    states = task_states(f"training model=[{','.join(MODELS)}]")
    assert {name for name, state in states.items() if state == "Cached"} == project.cached
    assert {state for name, state in states.items() if name not in project.cached} == {"Completed"}


def test_a_changed_hyperparameter_runs_that_model_alone(project: Project) -> None:
    project.train("model.gru.hidden=4", last="backtest")
    assert {line for line in project.ran if line.split()[0] in KEPT} == {"tune gru", "fit gru", "backtest gru"}
    others = {f"{step} {model}" for step in KEPT for model in MODELS if model != "gru"}
    assert project.cached == others


def test_more_seeds_fit_again_and_do_not_search_again(project: Project) -> None:
    before = trials_of(project)
    project.train("tuning.seeds=1", last="backtest")
    assert {line for line in project.ran if line.split()[0] in KEPT} == {"tune gru", "fit gru", "backtest gru"}
    assert {"window gru", "transform gru"} <= project.cached
    assert trials_of(project) == before


def test_results_that_were_deleted_are_made_again_and_only_those(project: Project) -> None:
    config, data = project.config(), project.data
    fitted = project.settings.cache("fit", keys.fit(config, data, "sarima"))
    tuned = project.settings.cache("tune", keys.tune(config, data, "gru"))
    files = [fitted / "model/weights.safetensors", tuned / tune.CHOSEN, tuned / "trials.json"]
    before = [file.read_bytes() for file in files]
    shutil.rmtree(fitted)
    shutil.rmtree(tuned)
    project.train(last="backtest")
    assert {line for line in project.ran if line.split()[0] in KEPT} == {"fit sarima", "tune gru"}
    assert [file.read_bytes() for file in files] == before  # equal input, equal bytes


def test_what_a_step_raises_comes_through_and_the_next_run_takes_the_same_one_up(project: Project) -> None:
    given = ("model=[naive,seasonal_naive]", "seed=11")
    config, data = project.config(*given, "model.seasonal_naive.lag=14"), project.data
    wrong = project.settings.cache("tune", keys.tune(config, data, "seasonal_naive"))
    wrong.write_text("a file in the place of a folder")
    with pytest.raises(NotADirectoryError, match=wrong.name):  # its own, not that of a task left waiting for it
        project.train(*given, "model.seasonal_naive.lag=14")
    run_id = tracking.open_run(project.tracking, "tiny", keys.run(config, data), "", {}, {})
    wrong.unlink()
    mended = project.train(*given, "model.seasonal_naive.lag=14")
    assert mended.run.run_id == run_id
    assert tracking.find(project.tracking, run_id).status == "FINISHED"
