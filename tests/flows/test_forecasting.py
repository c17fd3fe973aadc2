"""The daily job: rows with full lineage, once, from nothing later than they may see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file
from tests.project import Project

from daycast.adapters import registry, store, tracking
from daycast.config import dataset_only
from daycast.core.conformal import LEVELS
from daycast.errors import HistoryError, OutputError
from daycast.steps.forecast import forecast
from daycast.steps.ingest import ingest
from daycast.steps.outcomes import ForecastRef, Outcome
from daycast.steps.restore import restore

pytestmark = pytest.mark.xdist_group("flows")

NAME = "daycast-tiny"
PAST = date(2019, 10, 15)


def stored(project: Project) -> pd.DataFrame:
    """All rows of the store."""
    with store.opened(project.settings.store_url) as engine:
        return store.read_forecasts(engine, "tiny")


def rows(made: ForecastRef) -> pd.DataFrame:
    """The rows of a forecast."""
    return pd.read_csv(made.rows, parse_dates=["ds", "cutoff"])


@contextmanager
def champion(project: Project, version: str) -> Iterator[None]:
    """Another champion for a while."""
    uri = project.settings.tracking_uri
    before = registry.by_alias(uri, NAME, "champion")
    assert before is not None
    registry.set_alias(uri, NAME, "champion", version)
    try:
        yield
    finally:
        registry.set_alias(uri, NAME, "champion", before.number)


def test_rows_are_written_once_with_all_that_leads_back_to_the_bytes(
    project: Project, trained: tuple[Project, Outcome]
) -> None:
    first = trained[1]
    assert first.champion is not None
    with champion(project, first.champion.version):
        made = project.forecast()
        dvc = (project.settings.root / "dvc.lock").read_bytes()
        again = project.forecast()
    assert project.ran == {f"{step} tiny" for step in ("ingest", "validate", "prepare", "forecast")}
    assert (project.settings.root / "dvc.lock").read_bytes() == dvc
    assert (made.n_rows, again.new_rows) == (14, 0)
    assert again.model_dump(exclude={"new_rows"}) == made.model_dump(exclude={"new_rows"})
    found = stored(project)
    own = found[(found["model_version"] == first.champion.version) & (found["cutoff"] == made.cutoff)]
    assert len(own[own["step"] <= 7]) == 14
    expected = {
        "model": first.champion.model,
        "data_version": first.data.version,
        "git_commit": first.run.git_commit,
        "config_hash": first.run.config_hash,
        "run_id": first.run.run_id,
    }
    assert {name: set(own[name]) for name in expected} == {name: {value} for name, value in expected.items()}
    told = rows(made).sort_values(["unique_id", "ds"])
    kept = own[own["step"] <= 7].sort_values(["unique_id", "ds"])
    assert kept["y_hat"].tolist() == pytest.approx(told["y_hat"].tolist(), rel=1e-12)
    assert [q["0.9"] for q in kept["quantiles"]] == pytest.approx(told["q0.9"].tolist(), rel=1e-12)
    assert told["ds"].min() == pd.Timestamp(made.cutoff) + pd.Timedelta(days=1)
    assert Path(made.plot).stat().st_size > 5000


def scrambled(project: Project, folder: Path) -> Path:
    """The raw file with everything after ``PAST`` in another order, sums kept."""
    raw = pd.read_csv(project.settings.root / "data/raw/tiny/received.csv")
    later = (pd.to_datetime(raw["service_date"]) > pd.Timestamp(PAST)).to_numpy()
    rng = np.random.default_rng(0)
    for column in ("rail", "bus"):
        raw.loc[later, column] = rng.permutation(raw.loc[later, column].to_numpy())
    raw["total_rides"] = raw["rail"] + raw["bus"]
    raw.to_csv(folder / "scrambled.csv", index=False)
    return folder / "scrambled.csv"


def test_a_forecast_as_of_a_past_day_does_not_move_when_all_later_data_are_scrambled(
    project: Project, trained: tuple[Project, Outcome], network: str, tmp_path: Path
) -> None:
    here, data = project.settings, project.data
    dataset = dataset_only(here.root, "tiny")
    with champion(project, network):  # of all models a network could see most
        before = project.forecast(as_of=PAST)
        truth = rows(before)
        today = rows(forecast(here, dataset, data))
        ingest(here, "tiny", from_file=scrambled(project, tmp_path))
        try:
            after = project.forecast(as_of=PAST)
            moved = rows(after)
            today_scrambled = rows(forecast(here, dataset, project.data))
        finally:
            restore(here, trained[1].run.run_id)
    assert pd.Timestamp(before.cutoff) == pd.Timestamp(PAST)
    assert truth["ds"].max() == pd.Timestamp(PAST) + pd.Timedelta(days=7)
    pd.testing.assert_frame_equal(moved, truth, check_exact=True)
    assert after.new_rows == 14  # of another data version
    assert (today_scrambled["y_hat"] - today["y_hat"]).abs().min() > 0  # later data do count where they may be seen
    assert project.data == data  # and all is back in place


def test_quantiles_that_a_network_has_learned_itself_come_from_its_version_to_the_store_in_order(
    project: Project, network: str
) -> None:
    version = next(v for v in registry.versions(project.settings.tracking_uri, NAME) if v.number == network)
    assert tracking.find(project.tracking, version.run_id).params["intervals_source"] == "head"
    with champion(project, network):
        made = rows(project.forecast())
    names = [f"q{level:g}" for level in LEVELS]
    values = made[names].to_numpy()
    assert (np.diff(values, axis=1) >= 0).all()
    found = stored(project)
    kept = found[(found["model_version"] == network) & (found["data_version"] == project.data.version)]
    kept = kept[kept["cutoff"] == made["cutoff"][0]].set_index(["unique_id", "ds"])["quantiles"]
    told = made.set_index(["unique_id", "ds"])[names]
    assert set(told.index) <= set(kept.index)
    for at, line in told.iterrows():
        assert kept[at] == pytest.approx({name[1:]: value for name, value in line.items()}, rel=1e-12)


def test_a_day_before_all_data_is_refused(project: Project) -> None:
    with pytest.raises(HistoryError, match="an observation by 1999-01-01"):
        project.forecast(as_of=date(1999, 1, 1))


def test_a_horizon_beyond_the_trained_one_is_iterated_and_has_no_band_there(project: Project) -> None:
    short, long = rows(project.forecast()), rows(project.forecast(horizon=20))
    assert len(long) == 40
    first = long[long["step"] <= 7].reset_index(drop=True)
    pd.testing.assert_frame_equal(first, short)
    assert np.isfinite(long["y_hat"]).all()
    assert long.loc[long["step"] > 7, ["q0.1", "q0.9"]].isna().all(axis=None)
    found = stored(project)
    assert set(found.loc[found["step"] == 20, "quantiles"].map(len)) == {0}


@pytest.mark.parametrize("horizon", [0, 61])
def test_a_horizon_that_is_none_or_ends_after_the_prepared_calendar_is_refused(project: Project, horizon: int) -> None:
    with pytest.raises(HistoryError, match="horizon"):
        project.forecast(horizon=horizon)


def test_a_forecast_that_is_no_number_is_not_stored_and_another_version_forecasts(
    project: Project, network: str
) -> None:
    broken = registry.load(project.settings.tracking_uri, NAME, network)
    (file,) = broken.folder.rglob("weights.safetensors")
    weights, before = file.read_bytes(), stored(project)
    save_file({name: np.full_like(array, np.nan) for name, array in load_file(file).items()}, file)
    try:
        with champion(project, broken.version.number):
            made = project.forecast()
            with pytest.raises(OutputError, match="14 rows that are not"):
                forecast(project.settings, dataset_only(project.settings.root, "tiny"), project.data, version=network)
    finally:
        file.write_bytes(weights)
    assert made.role != "champion"
    assert f"champion, version {network}: OutputError: finite values; found: 14 rows" in made.reasons[0]
    assert np.isfinite(rows(made)["y_hat"]).all()
    after = stored(project)
    own = [found[found["model_version"] == network].reset_index(drop=True) for found in (before, after)]
    pd.testing.assert_frame_equal(*own)
