"""Runs on a Dask cluster, for real: the same results, bit for bit, as in threads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.clusters import at, elsewhere, running
from tests.project import Project

from daycast.steps import keys
from daycast.steps.outcomes import Outcome

pytestmark = [pytest.mark.xdist_group("flows"), pytest.mark.timeout(900)]

MODELS = ("naive", "auto_ets", "linear", "gru")
GIVEN = [f"model=[{','.join(MODELS)}]", "seed=31"]
DASK = ["runner=dask", "runner.series_per_task=1"]  # the two series apart
PIECES = ("validation-1", "validation-2", "test")


def results(state: Path) -> dict[str, bytes]:
    """Files of a state's searches, fits, backtests and comparisons."""
    folders = [state / "cache" / step for step in ("tune", "fit", "backtest", "compare")]
    return {str(f.relative_to(state)): f.read_bytes() for at in folders for f in at.rglob("*") if f.is_file()}


def children() -> set[str]:
    """Command lines of this process's own."""
    found = {word for task in Path("/proc/self/task").glob("*/children") for word in task.read_text().split()}
    lines = {file.read_text() for pid in found if (file := Path(f"/proc/{pid}/cmdline")).exists()}
    return {line for line in lines if "spawn_main" in line}


@pytest.fixture(scope="module")
def threads(trained: tuple[Project, Outcome], tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Outcome]:
    """A run in threads, in a state of its own."""
    project = elsewhere(trained[0], tmp_path_factory.mktemp("in threads"))
    with at(project):
        return project, project.train(*GIVEN)


@pytest.fixture(scope="module")
def cluster(
    trained: tuple[Project, Outcome], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Project, Outcome, set[str]]:
    """The same on a cluster of its own, in another state; and what was left of its processes."""
    project = elsewhere(trained[0], tmp_path_factory.mktemp("on a cluster"))
    with at(project):
        return project, project.train(*GIVEN, *DASK), children()


def test_a_cluster_comes_to_the_same_as_threads_bit_for_bit(
    threads: tuple[Project, Outcome], cluster: tuple[Project, Outcome, set[str]]
) -> None:
    alone, together = results(threads[0].settings.state), results(cluster[0].settings.state)
    assert len(alone) == 4 * (4 + 3 + 2) + 2  # models: searches, fits, backtests; and the comparison
    assert together == alone
    assert cluster[1].tuned == threads[1].tuned
    assert cluster[1].board == threads[1].board
    forecasts = [pd.read_csv(outcome.forecast.rows) for outcome in (threads[1], cluster[1]) if outcome.forecast]
    pd.testing.assert_frame_equal(*forecasts)


def test_folds_networks_and_series_are_tasks_of_their_own(cluster: tuple[Project, Outcome, set[str]]) -> None:
    ran = {line for line in cluster[0].ran if line.startswith("part ")}
    expected = {f"part gru {fold}{network}" for fold in PIECES for network in ("", " network 2")}
    expected |= {f"part linear {fold}" for fold in PIECES}
    expected |= {f"part auto_ets {fold} series {n}-{n}" for fold in PIECES for n in (1, 2)}
    assert ran == expected


def test_workers_tell_their_progress_to_who_started_the_run(cluster: tuple[Project, Outcome, set[str]]) -> None:
    epochs = [e.note for e in cluster[0].events if (e.step, e.subject) == ("part", "gru test network 2")]
    assert epochs == ["running", "epoch 1 of 2", "epoch 2 of 2", "done"]


def test_no_worker_is_left_when_a_run_has_ended(cluster: tuple[Project, Outcome, set[str]]) -> None:
    assert cluster[2] == set()


def test_what_threads_have_kept_a_cluster_takes_from_the_cache(threads: tuple[Project, Outcome]) -> None:
    project, outcome = threads
    with at(project):
        again = project.train(*GIVEN, *DASK, "runner.workers=1")
    kept = ("transform", "window", "tune", "fit", "backtest", "record")
    assert project.cached == {f"{step} {model}" for step in kept for model in MODELS}
    assert (again.run, again.board, again.champion) == (outcome.run, outcome.board, outcome.champion)


def test_workers_that_share_no_folder_come_to_the_same_through_a_store_for_all(
    threads: tuple[Project, Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on machines of their own: results travel through the store alone, as do Prefect's records of them."""
    project = elsewhere(threads[0], tmp_path / "starter")
    states = [tmp_path / "one", tmp_path / "other"]
    with at(project):
        monkeypatch.setenv("DAYCAST_CACHE_URL", f"file://{tmp_path}/shared")
        here = project.settings
        for name, url in (
            ("MLFLOW_TRACKING_URI", here.tracking_uri),
            ("DAYCAST_STUDIES_URL", here.studies_url),
            ("DAYCAST_STORE_URL", here.store_url),
        ):
            monkeypatch.setenv(name, url)
        with running(states) as address:
            made = project.train(*GIVEN, *DASK, f"runner.address={address}")
        alone = results(threads[0].settings.state)
        for state in states:
            found = results(state)
            assert found
            assert found.items() <= alone.items()
        assert results(here.state).items() <= alone.items()
        assert results(states[0]).keys() | results(states[1]).keys() | results(here.state).keys() == alone.keys()
        assert (made.tuned, made.board) == (threads[1].tuned, threads[1].board)
        assert (tmp_path / "shared" / "records").is_dir()
        # A machine that has nothing but the store: all is taken from there.
        project.settings = elsewhere(threads[0], tmp_path / "another").settings
        monkeypatch.setenv("DAYCAST_STATE", str(tmp_path / "another"))
        project.train(*GIVEN, last="backtest")
    kept = ("transform", "window", "tune", "fit", "backtest", "record")
    assert project.cached == {f"{step} {model}" for step in kept for model in MODELS}


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_statsforecast_s_own_dask_backend_forecasts_the_same_on_such_a_cluster(
    cluster: tuple[Project, Outcome, set[str]],
) -> None:
    """What ours is not made of (docs/decisions.md), and agrees with as far as its 32 bits go."""
    from distributed import Client
    from statsforecast.distributed.fugue import FugueBackend
    from statsforecast.models import AutoETS

    project = cluster[0]
    config = project.config(*GIVEN, *DASK)
    rows = pd.read_parquet(
        project.settings.cache("backtest", keys.backtest(config, project.data, "auto_ets")) / "rows.parquet"
    )
    first = rows[rows["cutoff"] == rows["cutoff"].min()]
    data = pd.read_parquet(project.settings.root / "data/prepared/tiny.parquet")
    seen = data[(data["ds"] <= first["cutoff"].iloc[0])].groupby("unique_id").tail(config.model["auto_ets"].train_steps)
    with at(project), running([project.settings.state]) as address, Client(address, set_as_default=False) as client:
        made = FugueBackend(client).forecast(
            df=seen[["unique_id", "ds", "y"]],
            freq="D",
            models=[AutoETS(season_length=7)],
            fallback_model=None,
            X_df=None,
            h=7,
            level=None,
            fitted=False,
            prediction_intervals=None,
            id_col="unique_id",
            time_col="ds",
            target_col="y",
        )
        theirs = client.compute(made, sync=True)
    both = first.merge(theirs, on=["unique_id", "ds"], validate="1:1")
    assert len(both) == len(first) == 14
    np.testing.assert_allclose(both["y_hat"], both["AutoETS"].astype(float), rtol=1e-6)
