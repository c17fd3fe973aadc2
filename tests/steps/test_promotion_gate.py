"""The gate between a challenger and the champion, on versions that were really trained and registered."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from safetensors.numpy import load_file, save_file
from tests.project import Project
from typer.testing import CliRunner

from daycast.adapters import registry, store, tracking
from daycast.cli import application
from daycast.config import Promotion
from daycast.config.promotion import Championship
from daycast.core.gate import Check
from daycast.errors import ConfigError, DaycastError, PromotionError, ToolError, unanswered
from daycast.models import describe
from daycast.models.budget import Clock, OverBudgetError
from daycast.steps import champion, gate, lineage, promote, rescore, serving, shelf, standing
from daycast.steps.data import table
from daycast.steps.register import DATA_UNTIL, SCORED_FROM

pytestmark = pytest.mark.xdist_group("flows")

NAME = "daycast-tiny"
LIMITS: dict[str, Any] = {
    "origins": 20,
    "step_size": 1,
    "least_origins": 10,
    "series": 1000,
    "margin": 0.0,
    "significance": None,  # of 28 days, nothing is sure
    "step_worse": 10.0,
    "series_worse": 10.0,
    "series_share": 1.0,
    "coverage": (0.0, 1.0),
    "refit": 1e-6,
    "days_behind": 0.0,
    "megabytes": 50.0,
    "seconds": 60.0,
}


def asked(**changes: Any) -> Promotion:
    """A gate that what is better passes, with changes."""
    return Promotion(name="tiny", margin=0.0, significance=None, champion=Championship(**{**LIMITS, **changes}))


@pytest.fixture(scope="module")
def runs(trained: tuple[Project, Any]) -> dict[str, tuple[str, str]]:
    """Model -> the run that it won, and its version; a good one, a poor one and a network."""
    from tests.project import environment

    project = trained[0]
    with environment(project.settings):
        made = {}
        for name, given in {
            "day_type_naive": ("model=[naive,day_type_naive]", "promotion.margin=0.99"),
            "naive": ("model=[naive]",),
            "gru": ("model=[naive,gru]", "promotion.margin=0", "promotion.significance=null"),
        }.items():
            run = project.train(*given).run.run_id
            made[name] = run, promote.decided(project.settings, run)[1][name].version
    return made


@pytest.fixture
def back(project: Project) -> Iterator[None]:
    """What a test does to the champion is undone."""
    before = registry.by_alias(project.settings.tracking_uri, NAME, "champion")
    assert before is not None
    yield
    registry.set_alias(project.settings.tracking_uri, NAME, "champion", before.number)


def crown(project: Project, version: str) -> None:
    promote.override(project.settings, project.config().dataset, version, "to begin with")


def judged(
    project: Project, run: str, version: str, before: str | None, overrides: tuple[str, ...] = (), **limits: Any
) -> dict[str, Check]:
    """The checks of a version, beside another one as champion."""
    uri = project.settings.tracking_uri
    own, other = registry.find(uri, NAME, version), before and registry.find(uri, NAME, before)
    assert own is not None
    config = project.config("model=[naive,day_type_naive,sarima,gru,lightgbm_small]", *overrides).model_copy(
        update={"promotion": asked(**limits)}
    )
    found = gate.judged(project.settings, config, project.data, gate.Asked(run, own, other or None))
    return {check.name: check for check in found}


def refused(project: Project, run: str, before: str, name: str) -> None:
    """Promoting the run's winner over the version ``before`` fails by that check, and nothing of it moves."""
    crown(project, before)
    moves = champion.moves(project.settings, "tiny")
    with pytest.raises(PromotionError, match=f"{name}: "):
        promote.promote(project.settings, "tiny", run, asked())
    now = registry.by_alias(project.settings.tracking_uri, NAME, "champion")
    assert now is not None
    assert now.number == before
    pd.testing.assert_frame_equal(champion.moves(project.settings, "tiny"), moves)
    assert tracking.find(project.tracking, run).tags["daycast.gate"] == "refused"


def failed(checks: dict[str, Check]) -> set[str]:
    return {name for name, check in checks.items() if not check.passed}


@pytest.mark.usefixtures("back")
def test_a_better_model_passes_every_check_and_takes_the_place_with_its_evidence(
    project: Project, runs: dict[str, tuple[str, str]]
) -> None:
    crown(project, runs["naive"][1])
    run, version = runs["day_type_naive"]
    found = promote.judged(project.settings, "tiny", run, asked())
    assert [check.name for check in found.checks if not check.passed] == []
    assert {check.name for check in found.checks} >= {
        "not rolled back before",
        "data validated",
        "age of data",
        "loads and repeats itself",
        "size",
        "latency",
        "horizon",
        "coverage",
        "recent origins",
        "output contract",
        "better than the champion",
        "no step much worse",
        "few series much worse",
        "fitted on what it says",
    }
    assert promote.promote(project.settings, "tiny", run, asked()).version == version
    told = json.loads(tracking.text(project.tracking, run, promote.GATE))
    assert told["champion"] == runs["naive"][1]
    assert all(check["passed"] for check in told["gate"])
    with store.opened(project.settings.store_url) as engine:
        line = store.read_promotions(engine, "tiny").iloc[-1]
    assert line["decision"] == told
    assert (line["from_version"], line["to_version"]) == (runs["naive"][1], version)
    again = promote.judged(project.settings, "tiny", run, asked())  # it is champion already, by these checks
    assert [(c.name, c.passed) for c in again.checks] == [(c.name, True) for c in found.checks]
    assert promote.obey(project.settings, "tiny", run, again, asked()).version == version
    assert json.loads(tracking.text(project.tracking, run, promote.GATE)) == told


@pytest.mark.usefixtures("back")
def test_a_worse_model_is_refused_with_the_figures_and_nothing_changes(
    project: Project, runs: dict[str, tuple[str, str]]
) -> None:
    crown(project, runs["day_type_naive"][1])
    moves = champion.moves(project.settings, "tiny")
    run = runs["naive"][0]
    with pytest.raises(PromotionError, match=r"better than the champion: mase .* against .* of version") as error:
        promote.promote(project.settings, "tiny", run, asked())
    assert "--force" in error.value.fix
    now = registry.by_alias(project.settings.tracking_uri, NAME, "champion")
    assert now is not None
    assert now.number == runs["day_type_naive"][1]
    assert len(champion.moves(project.settings, "tiny")) == len(moves)
    assert not all(c["passed"] for c in json.loads(tracking.text(project.tracking, run, promote.GATE))["gate"])


@pytest.mark.usefixtures("back")
def test_a_training_whose_winner_is_refused_fails_with_the_reason_and_can_be_looked_at(
    project: Project, runs: dict[str, tuple[str, str]], gates: Callable[..., Path]
) -> None:
    crown(project, runs["day_type_naive"][1])
    gates("mine")
    with pytest.raises(PromotionError, match="better than the champion"):
        project.train("model=[naive]", "promotion=mine")
    found = tracking.latest(project.tracking, "tiny", {"daycast.gate": "refused"})
    assert found is not None
    told = promote.judged(project.settings, "tiny", found.run_id)
    assert not told.may
    assert told.champion == runs["day_type_naive"][1]


def test_of_few_days_no_lead_is_sure(project: Project, runs: dict[str, tuple[str, str]]) -> None:
    found = judged(project, *runs["day_type_naive"], runs["naive"][1], significance=0.1)
    assert failed(found) >= {"recent origins", "better by Diebold-Mariano", "better by the bootstrap"}
    assert found["recent origins"].threshold == 35  # five times the horizon, whatever is configured
    assert "too few" in found["better by Diebold-Mariano"].reason


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({"least_origins": 20, "origins": 1000}, "recent origins"),
        ({"margin": 0.99}, "better than the champion"),
        ({"coverage": (0.999, 1.0)}, "coverage"),
        ({"megabytes": 0.001}, "size"),
        ({"seconds": 1e-6}, "latency"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_limit_can_refuse(
    project: Project, runs: dict[str, tuple[str, str]], limits: dict[str, Any], name: str
) -> None:
    found = judged(project, *runs["day_type_naive"], runs["naive"][1], **limits)
    if name == "recent origins":  # all that there are, and they are enough
        assert failed(found) == set()
        limits = {"least_origins": int(found[name].value or 0) + 1, "origins": 1000}
        found = judged(project, *runs["day_type_naive"], runs["naive"][1], **limits)
    also = {"intervals as served"} if name == "coverage" else set()  # fewer values inside than that, too
    assert failed(found) == {name} | also


def test_days_that_the_champion_was_fitted_on_do_not_count(project: Project, runs: dict[str, tuple[str, str]]) -> None:
    uri, number = project.settings.tracking_uri, runs["naive"][1]
    version = registry.find(uri, NAME, number)
    assert version is not None
    before = judged(project, *runs["day_type_naive"], number, origins=1000)["recent origins"]
    with tagged(project, number, {SCORED_FROM: version.tags[DATA_UNTIL][:8] + "20"}):
        after = judged(project, *runs["day_type_naive"], number, origins=1000)["recent origins"]
    assert after.value is not None
    assert before.value is not None
    assert after.value < before.value
    assert not after.passed


@contextmanager
def tagged(project: Project, number: str, tags: dict[str, str]) -> Iterator[None]:
    """Inside the block a version has other tags."""
    uri = project.settings.tracking_uri
    version = registry.find(uri, NAME, number)
    assert version is not None
    try:
        registry.tag(uri, NAME, number, tags)
        yield
    finally:
        registry.tag(uri, NAME, number, {name: version.tags[name] for name in tags})


@pytest.mark.usefixtures("back")
def test_a_model_that_forecasts_less_far_than_the_champion_takes_its_place_by_force_alone(
    project: Project, runs: dict[str, tuple[str, str]]
) -> None:
    (run, number), before = runs["day_type_naive"], runs["naive"][1]
    with tagged(project, before, {champion.HORIZON: "14"}):
        found = judged(project, run, number, before)
        refused(project, run, before, "horizon")
        promote.override(project.settings, project.config().dataset, number, "a week is enough")
    assert failed(found) == {"horizon"}
    assert (found["horizon"].value, found["horizon"].threshold) == (7.0, 14.0)
    assert found["horizon"].reason == f"7 steps ahead, version {before} forecasts 14"
    with tagged(project, number, {champion.HORIZON: "14"}):
        assert judged(project, run, number, before)["horizon"].passed
        crown(project, number)
        steps_in = promote.judged(project.settings, "tiny", runs["gru"][0], asked(), "naive")
    assert "horizon" in {check.name for check in steps_in.checks if not check.passed}


@pytest.mark.parametrize("told", ["soon", "", "9999"])
def test_a_champion_that_does_not_say_how_far_it_forecasts_sets_no_bar(
    project: Project, runs: dict[str, tuple[str, str]], told: str
) -> None:
    before = runs["naive"][1]
    with tagged(project, before, {champion.HORIZON: told}):
        found = judged(project, *runs["day_type_naive"], before)
    assert "nothing to beat" in found["the champion forecasts"].reason
    assert failed(found) == set()
    assert "horizon" not in judged(project, *runs["day_type_naive"], None)


def test_a_model_of_data_that_others_have_followed_is_too_old(
    project: Project, runs: dict[str, tuple[str, str]]
) -> None:
    run, number = runs["day_type_naive"]
    newest = table(project.settings, project.config(), project.data).panel.cutoff
    with tagged(project, number, {DATA_UNTIL: (newest - pd.Timedelta(days=3)).isoformat()}):
        behind = judged(project, run, number, None)["age of data"]
        assert (behind.passed, behind.value) == (False, 3.0)
        assert judged(project, run, number, None, days_behind=3.0)["age of data"].passed


def test_where_a_dataset_says_how_old_data_may_be_older_ones_promote_nothing(
    project: Project, runs: dict[str, tuple[str, str]]
) -> None:
    run, number = runs["day_type_naive"]
    version = registry.find(project.settings.tracking_uri, NAME, number)
    assert version is not None
    config = project.config()
    aged = config.dataset.contract.model_copy(update={"max_age_days": 30})
    dataset = config.dataset.model_copy(update={"contract": aged})
    config = config.model_copy(update={"promotion": asked(), "dataset": dataset})
    found = gate.judged(project.settings, config, project.data, gate.Asked(run, version, None))
    assert failed({check.name: check for check in found}) == {"newest data"}  # they are of years ago


@contextmanager
def tampered(project: Project, version: str, change: Callable[[dict[str, np.ndarray]], None]) -> Iterator[None]:
    """Inside the block a version has other weights, and a stored forecast that fits them."""
    folder = registry.load(project.settings.tracking_uri, NAME, version).folder
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    try:
        (file,) = folder.rglob("*.safetensors")
        weights = load_file(file)
        change(weights)
        save_file(weights, file)
        example = registry.stored(folder)
        made = serving.forecast(serving.of_version(folder), example.inputs, example.horizon)
        made.assign(horizon=example.horizon).to_parquet(folder / "stored" / "forecast.parquet")
        yield
    finally:
        shutil.rmtree(folder)
        kept.rename(folder)


def everything(value: float, factor: float) -> Callable[[dict[str, np.ndarray]], None]:
    """Each floating weight times a factor, and a value added."""

    def change(weights: dict[str, np.ndarray]) -> None:
        for name, array in weights.items():
            if np.issubdtype(array.dtype, np.floating):
                weights[name] = (array * factor + value).astype(array.dtype)

    return change


def fitted_on_all(project: Project, version: str) -> Callable[[dict[str, np.ndarray]], None]:
    """Weights of the same network, fitted on everything there is."""

    def change(weights: dict[str, np.ndarray]) -> None:
        folder = registry.load(project.settings.tracking_uri, NAME, version).folder
        forecaster = serving.of_version(folder).forecaster
        forecaster.fit(table(project.settings, project.config(), project.data).panel)
        weights.update(describe(forecaster)[1])

    return change


@pytest.mark.usefixtures("back")
def test_a_model_that_has_learned_from_the_days_it_is_judged_by_is_refused(
    project: Project, runs: dict[str, tuple[str, str]]
) -> None:
    run, version = runs["gru"]
    assert "fitted on what it says" not in failed(judged(project, run, version, runs["day_type_naive"][1]))
    with tampered(project, version, fitted_on_all(project, version)):
        found = judged(project, run, version, runs["day_type_naive"][1])
        refused(project, run, runs["day_type_naive"][1], "fitted on what it says")
    assert "fitted on what it says" in failed(found)
    assert found["loads and repeats itself"].passed  # nothing else tells


@pytest.mark.usefixtures("back")
def test_a_training_that_leaks_is_refused(
    project: Project, runs: dict[str, tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code that fits hands out the future: what it hands out when nothing of the future is there is another fit."""
    given = ("model=[naive,sarima]", "seed=71", "model.sarima.train_steps=111")
    given = (*given, "promotion.margin=0", "promotion.significance=null")
    monkeypatch.setattr("daycast.core.split.history", lambda whole, _: whole.panel)
    run = project.train(*given).run.run_id
    version = promote.decided(project.settings, run)[1]["sarima"].version
    found = judged(project, run, version, runs["day_type_naive"][1], overrides=given[1:3])
    assert "fitted on what it says" in failed(found)
    refused(project, run, runs["day_type_naive"][1], "fitted on what it says")


class Hurried(Clock):
    """Time for ten trees."""

    def __init__(self, _: float | None) -> None:
        self.left = 10

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise OverBudgetError


@pytest.mark.usefixtures("back")
@pytest.mark.parametrize("when", ["in training", "at the gate"])
def test_a_fit_that_its_time_budget_cut_short_is_refused_and_named(
    project: Project, runs: dict[str, tuple[str, str]], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    given = ("model=[naive,lightgbm_small]", "model.lightgbm_small.min_leaf=2")
    given = (*given, f"seed={72 + (when == 'at the gate')}", "promotion.margin=0", "promotion.significance=null")
    with monkeypatch.context() as patched:
        if when == "in training":
            patched.setattr("daycast.models.tabular.Clock", Hurried)
        run = project.train(*given).run.run_id
    if when == "at the gate":
        monkeypatch.setattr("daycast.models.tabular.Clock", Hurried)
    version = promote.decided(project.settings, run)[1]["lightgbm_small"].version
    check = judged(project, run, version, runs["day_type_naive"][1], overrides=given[1:4])["fitted on what it says"]
    assert not check.passed
    told = {"in training": "lightgbm_small: fits went over their time budget", "at the gate": "in being fitted again"}
    assert told[when] in check.reason
    assert "train with a larger `budget_s`" in check.reason


@pytest.mark.usefixtures("back")
def test_a_model_of_another_scale_is_refused(project: Project, runs: dict[str, tuple[str, str]]) -> None:
    run, version = runs["gru"]
    clean = failed(judged(project, run, version, runs["day_type_naive"][1], margin=0.0))
    with tampered(project, version, everything(0.0, 30.0)):
        found = judged(project, run, version, runs["day_type_naive"][1])
        refused(project, run, runs["day_type_naive"][1], "better than the champion")
    assert {"better than the champion", "better than naive"} <= failed(found)
    assert "better than naive" not in clean


@pytest.mark.usefixtures("back")
def test_a_baseline_that_the_winner_loses_to_takes_the_place_of_a_worse_champion(
    project: Project, runs: dict[str, tuple[str, str]]
) -> None:
    run, version = runs["gru"]
    second = project.train(
        "model=[naive,gru]", "seed=5", "promotion.margin=0", "promotion.significance=null"
    ).run.run_id
    bad = promote.decided(project.settings, second)[1]["gru"].version
    naive = promote.decided(project.settings, run)[1]["naive"].version
    assert bad != version
    with tampered(project, version, everything(0.0, 30.0)), tampered(project, bad, everything(0.0, 30.0)):
        crown(project, bad)
        told = promote.judged(project.settings, "tiny", run, asked())
        instead = promote.instead(project.settings, "tiny", told, asked())
        assert instead is not None
        assert (told.may, instead.may, instead.version.version) == (False, True, naive)
        assert promote.promote(project.settings, "tiny", run, asked()).version == naive
        with store.opened(project.settings.store_url) as engine:
            line = store.read_promotions(engine, "tiny").iloc[-1]
        assert line[["kind", "from_version", "to_version"]].tolist() == ["promotion", bad, naive]
        assert "better than naive" in line["reason"]
        assert line["decision"]["refused"]["version"] == version
        refused(project, run, naive, "better than naive")  # it serves already


@pytest.mark.usefixtures("back")
@pytest.mark.parametrize(
    ("factor", "told"), [(0.0, "0.0% of the values inside"), (1000.0, "100.0% of the values inside"), (None, "none")]
)
def test_a_model_whose_intervals_went_wrong_after_its_backtest_is_refused(
    project: Project, runs: dict[str, tuple[str, str]], factor: float | None, told: str
) -> None:
    run, version = runs["gru"]
    clean = judged(project, run, version, runs["day_type_naive"][1], coverage=(0.25, 1.0))
    assert clean["intervals as served"].passed
    folder = registry.load(project.settings.tracking_uri, NAME, version).folder
    (file,) = folder.rglob("serving.json")
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    try:
        served = json.loads(file.read_text())
        offsets = served["offsets"]
        if factor is not None:
            offsets |= {name: [x * factor for x in values] for name, values in offsets.items() if name[0] == "q"}
        file.write_text(json.dumps(served | {"offsets": None if factor is None else offsets}))
        example = registry.stored(folder)
        made = serving.forecast(serving.of_version(folder), example.inputs, example.horizon)
        made.assign(horizon=example.horizon).to_parquet(folder / "stored" / "forecast.parquet")
        found = judged(project, run, version, runs["day_type_naive"][1], coverage=(0.25, 1.0))
    finally:
        shutil.rmtree(folder)
        kept.rename(folder)
    assert failed(found) - failed(clean) == {"intervals as served"}
    assert told in found["intervals as served"].reason


@pytest.mark.usefixtures("back")
def test_a_model_that_gives_no_numbers_is_refused(project: Project, runs: dict[str, tuple[str, str]]) -> None:
    run, version = runs["gru"]
    folder = registry.load(project.settings.tracking_uri, NAME, version).folder
    (file,) = folder.rglob("*.safetensors")
    kept, weights = file.read_bytes(), load_file(file)
    everything(float("nan"), 1.0)(weights)
    try:
        save_file(weights, file)
        found = judged(project, run, version, runs["day_type_naive"][1])
        refused(project, run, runs["day_type_naive"][1], "forecasts at recent origins")
    finally:
        file.write_bytes(kept)
    assert {"forecasts at recent origins", "loads and repeats itself"} <= failed(found)


def test_weights_that_were_swapped_behind_its_back_are_found(
    project: Project, runs: dict[str, tuple[str, str]]
) -> None:
    run, version = runs["gru"]
    folder = registry.load(project.settings.tracking_uri, NAME, version).folder
    (file,) = folder.rglob("*.safetensors")
    kept, weights = file.read_bytes(), load_file(file)
    everything(0.0, 1.001)(weights)
    try:
        save_file(weights, file)
        found = judged(project, run, version, runs["day_type_naive"][1])
    finally:
        file.write_bytes(kept)
    assert "loads and repeats itself" in failed(found)


def test_a_check_that_can_not_be_made_is_one_that_failed(
    project: Project, runs: dict[str, tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of our own")

    monkeypatch.setattr("daycast.core.gate.against", broken)
    found = judged(project, *runs["day_type_naive"], runs["naive"][1])
    assert failed(found) == {"better than the champion"}
    assert "ZeroDivisionError: of our own" in found["better than the champion"].reason


def test_of_many_series_some_are_drawn_and_always_the_same(project: Project, runs: dict[str, tuple[str, str]]) -> None:
    found, again = (judged(project, *runs["day_type_naive"], runs["naive"][1], series=1) for _ in range(2))
    whole = judged(project, *runs["day_type_naive"], runs["naive"][1])
    gain = "better than the champion"
    assert found[gain].value == again[gain].value != whole[gain].value
    assert whole["recent origins"].reason.endswith("needed; by 2 of 2 series")
    assert "few series much worse" in whole
    assert "few series much worse" not in found  # there is one alone


@pytest.mark.parametrize(
    ("left", "told"),
    [
        ([2], "; by 3 of 4 series, as 1 began too late or ended: s2"),
        ([0, 1, 2, 3], "; by 1,996 of 2,000 series, as 4 began too late or ended: s0, s1, s2, …"),
    ],
)
def test_how_many_series_of_a_panel_are_judged_is_told(left: list[int], told: str) -> None:
    ids = tuple(f"s{i}" for i in range(4 if len(left) == 1 else 2000))
    rows = pd.DataFrame({"unique_id": [name for i, name in enumerate(ids) if i not in left]})
    assert rescore.judged_by(rows, ids) == told


def test_a_champion_that_does_not_forecast_any_more_is_nothing_to_beat(
    project: Project, runs: dict[str, tuple[str, str]]
) -> None:
    folder = registry.load(project.settings.tracking_uri, NAME, runs["day_type_naive"][1]).folder
    told = folder / "artifacts" / "serving.json"
    kept = told.read_bytes()
    try:
        told.write_text("{}")
        found = judged(project, *runs["gru"], runs["day_type_naive"][1])
    finally:
        told.write_bytes(kept)
    assert "nothing to beat" in found["the champion forecasts"].reason
    assert "better than the champion" not in found


def test_a_champion_whose_files_are_gone_but_that_forecasts_from_its_copy_is_the_one_to_beat(
    project: Project, runs: dict[str, tuple[str, str]]
) -> None:
    before, place = runs["day_type_naive"][1], shelf.shelf(project.settings, "tiny")
    loaded = registry.load(project.settings.tracking_uri, NAME, before)
    with away(*([place] if place.exists() else [])):
        registry.keep(loaded, place)
        try:
            with away(loaded.folder.parent):
                found = judged(project, *runs["naive"], before)
        finally:
            shutil.rmtree(place)
    assert "the champion forecasts" not in found
    assert not found["better than the champion"].passed


def test_all_series_are_judged_where_the_backtest_counted_some(
    project: Project, runs: dict[str, tuple[str, str]]
) -> None:
    """They are all forecast: one that is wrong by a factor for another series must not pass."""
    before, ids = runs["naive"][1], table(project.settings, project.config(), project.data).panel.ids
    found = judged(project, *runs["day_type_naive"], before, overrides=(f"backtest.series=[{ids[-1]}]",))
    assert "few series much worse" in found
    assert f"by {len(ids)} of {len(ids)} series" in found["recent origins"].reason


@contextmanager
def away(*places: Path) -> Iterator[None]:
    """Inside the block these files or folders are elsewhere."""
    for place in places:
        place.rename(place.with_name(f"{place.name}.away"))
    try:
        yield
    finally:
        for place in places:
            place.with_name(f"{place.name}.away").rename(place)


def folder_of(project: Project, version: str) -> Path:
    """Where the files of a version lie."""
    return registry.load(project.settings.tracking_uri, NAME, version).folder


def file_of(project: Project, run: str, name: str) -> Path:
    """Where an artifact of a run lies."""
    return Path(unquote(urlsplit(tracking.find(project.tracking, run).artifacts).path)) / name


def test_a_champion_whose_files_are_gone_is_nothing_to_beat(project: Project, runs: dict[str, tuple[str, str]]) -> None:
    before = runs["naive"][1]
    with away(folder_of(project, before).parent):
        found = judged(project, *runs["day_type_naive"], before)
    assert failed(found) == set()
    assert "nothing to beat" in found["the champion forecasts"].reason
    assert "MLflow answers" not in found["recent origins"].reason
    assert "better than the champion" not in found


@pytest.mark.usefixtures("back")
def test_a_challenger_whose_files_or_report_are_gone_is_refused_by_the_checks_that_need_them(
    project: Project, runs: dict[str, tuple[str, str]]
) -> None:
    run, version = runs["day_type_naive"]
    with away(folder_of(project, version).parent):
        found = judged(project, run, version, runs["naive"][1])
        refused(project, run, runs["naive"][1], "loads and repeats itself")
    assert failed(found) == {"loads and repeats itself", "forecasts at recent origins"}
    with away(file_of(project, run, "validation.json")):
        found = judged(project, run, version, runs["naive"][1])
    assert failed(found) == {"data validated"}
    assert "validation.json" in found["data validated"].reason


def test_an_mlflow_that_does_not_answer_is_no_verdict(
    project: Project, runs: dict[str, tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes down while the champion is asked, and while the challenger's report is."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    load, before, nobody = registry.load, runs["naive"][1], "http://127.0.0.1:1"

    def loaded(uri: str, name: str, which: str, *given: Any) -> Any:
        return load(nobody if which == before else uri, name, which, *given)

    with monkeypatch.context() as patched:
        patched.setattr(registry, "load", loaded)
        with pytest.raises(ToolError, match=nobody) as error:
            judged(project, *runs["day_type_naive"], before)
    assert unanswered(error.value)
    down = dataclasses.replace(project.tracking, uri=nobody)
    monkeypatch.setattr(gate, "tracker", lambda _: down)
    with pytest.raises(ToolError, match=nobody):
        judged(project, *runs["day_type_naive"], before)


@pytest.fixture
def foreign(project: Project, tmp_path: Path) -> Iterator[str]:
    """Number of a version that somebody registered by hand: no model, no tags; champion, while the test lasts."""
    uri = project.settings.tracking_uri
    client, before = MlflowClient(uri, uri), registry.by_alias(uri, NAME, "champion")
    assert before is not None
    (tmp_path / "model").mkdir()
    number = str(client.create_model_version(NAME, (tmp_path / "model").as_uri()).version)
    try:
        registry.set_alias(uri, NAME, "champion", number)
        yield number
    finally:
        registry.set_alias(uri, NAME, "champion", before.number)
        client.delete_model_version(NAME, number)


def test_a_champion_that_daycast_did_not_make_and_that_does_not_forecast_is_nothing_to_beat(
    project: Project, runs: dict[str, tuple[str, str]], foreign: str
) -> None:
    found = judged(project, *runs["day_type_naive"], foreign)
    assert failed(found) == set()
    assert "nothing to beat" in found["the champion forecasts"].reason
    told = promote.judged(project.settings, "tiny", runs["day_type_naive"][0], asked())
    assert (told.may, told.champion) == (True, foreign)


@pytest.mark.parametrize("edited", [None, "next week"])
@pytest.mark.parametrize("lacking", [(DATA_UNTIL, SCORED_FROM), ("daycast.horizon",)], ids=lambda tags: tags[-1])
def test_a_champion_that_does_not_say_what_it_was_fitted_on_is_compared_with_nobody(
    project: Project, runs: dict[str, tuple[str, str]], lacking: tuple[str, ...], edited: str | None
) -> None:
    uri, number = project.settings.tracking_uri, runs["naive"][1]
    version = registry.find(uri, NAME, number)
    assert version is not None
    try:
        for name in lacking:
            if edited is None:
                MlflowClient(uri, uri).delete_model_version_tag(NAME, number, name)
            else:
                registry.tag(uri, NAME, number, {name: edited})
        found = judged(project, *runs["day_type_naive"], number)
        if "daycast.horizon" in lacking:
            with pytest.raises(PromotionError, match=r"without daycast\.horizon, as put there or edited by hand"):
                promote.override(project.settings, project.config().dataset, number, "to see")
    finally:
        registry.tag(uri, NAME, number, {name: version.tags[name] for name in lacking})
    if "daycast.horizon" in lacking:  # without which the daily forecast can't use it either
        assert failed(found) == set()
        assert "nothing to beat" in found["the champion forecasts"].reason
        return
    assert failed(found) == {"what the champion was fitted on"}
    told = found["what the champion was fitted on"].reason
    assert f"version {number} does not say" in told
    assert f"--version {runs['day_type_naive'][1]} --force" in told
    assert "daycast rollback" in told


def test_what_is_known_of_a_champion_that_daycast_did_not_make_is_told(project: Project, foreign: str) -> None:
    dataset = project.config().dataset
    told = standing.told(project.settings, dataset, None)
    assert (told["version"], told["model"]) == (foreign, None)
    assert "did not make this version" in told["note"]
    link = lineage.lineage(project.settings, lineage.Asked("tiny", "@champion"))
    assert (link.kind, link.facts["version"], link.facts["aliases"]) == ("version", foreign, ["champion"])
    assert "did not make this version" in str(link.missing)
    with pytest.raises(PromotionError, match="to load, and to forecast"):
        promote.override(project.settings, dataset, foreign, "to see")


@pytest.fixture
def gates(project: Project) -> Iterator[Callable[..., Path]]:
    """Write files of gates in ``conf/promotion/``; gone afterwards."""
    made: list[Path] = []

    def write(name: str, **limits: Any) -> Path:
        made.append(project.settings.root / "conf/promotion" / f"{name}.yaml")
        told = asked(**limits).model_dump(mode="json") | {"name": name}
        made[-1].write_text(yaml.safe_dump(told))
        return made[-1]

    yield write
    for file in made:
        file.unlink(missing_ok=True)


def ask(*words: str) -> tuple[int, str, str]:
    """Exit code, output and error of ``daycast promote dataset=tiny`` and more words."""
    done = CliRunner().invoke(application(), ["promote", "dataset=tiny", *words])
    raised = done.exception
    code = raised.exit_code if isinstance(raised, DaycastError) else done.exit_code
    return code, done.stdout, str(raised)


@pytest.mark.usefixtures("back")
def test_promote_goes_by_the_gate_that_the_run_chose_as_its_file_is_now(
    project: Project, runs: dict[str, tuple[str, str]], gates: Callable[..., Path]
) -> None:
    crown(project, runs["naive"][1])
    gates("mine")
    gates("small", megabytes=0.001)
    run = project.train("model=[naive,day_type_naive]", "promotion=mine").run.run_id
    crown(project, runs["naive"][1])
    code, out, _ = ask("--dry-run", "--json")
    told = json.loads(out)
    assert (code, told["run_id"], told["may"], told["decision"]["promotion"]) == (0, run, True, "mine")
    gates("mine", seconds=1e-6)  # tightened since
    assert "The gate `mine`, beside version" in ask("--dry-run")[1]
    assert not json.loads(ask("--dry-run", "--json")[1])["may"]
    code, _, error = ask("promotion=small")
    assert (code, error.count("size: "), error.count("latency: ")) == (5, 1, 0)
    assert json.loads(tracking.text(project.tracking, run, promote.GATE))["promotion"] == "small"
    code, _, error = ask("promotion=mine", "promotion.champion.seconds=60")
    assert code == 2
    assert "promotion.champion.seconds=60" in error
    for loose in ("++promotion.champion=null", "++promotion.champion.seconds=60", "promotion.margin=0.5"):
        code, _, error = ask("promotion=mine", loose)
        assert (code, loose.lstrip("+") in error) == (2, True)
        assert ask("promotion=mine", loose, "--dry-run")[0] == 0
    assert ask("++promotion.champion.seconds=60")[0] == 2  # of the gate that the run chose
    gates("mine")
    assert ask("promotion=mine")[0] == 0
    with store.opened(project.settings.store_url) as engine:
        assert store.read_promotions(engine, "tiny").iloc[-1]["decision"]["promotion"] == "mine"
    crown(project, runs["naive"][1])
    (project.settings.root / "conf/promotion/mine.yaml").unlink()
    code, _, error = ask("--dry-run")
    assert code == 2
    assert "`mine`" in error


@pytest.mark.parametrize("loose", ["promotion.champion=null", "++promotion.champion=null"])
def test_a_training_that_would_promote_past_the_gate_does_not_begin_whoever_starts_it(
    project: Project, gates: Callable[..., Path], loose: str
) -> None:
    from flows.modelling import modelling

    gates("mine")
    newest = tracking.latest(project.tracking, "tiny", {})
    with pytest.raises(ConfigError, match="a file in conf/promotion/ has it"):
        project.train("model=[naive]", "seed=83", "promotion=mine", loose)
    with pytest.raises(ConfigError, match="a file in conf/promotion/ has it"):  # a part that is deployed by itself
        modelling(["model=[naive]", "seed=83", "promotion=mine", loose], project.data)
    assert tracking.latest(project.tracking, "tiny", {}) == newest
    assert project.train("model=[naive]", "seed=83", "promotion=mine", loose, last="backtest").champion is None


def test_a_champion_that_fails_at_an_origin_but_forecasts_today_lets_nobody_through(
    project: Project, runs: dict[str, tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from_table, calls = serving.from_table, 0

    def fails_once(served: Any, known: Any, horizon: int) -> pd.DataFrame:
        nonlocal calls
        calls += 1
        if calls == 25:  # one of the champion's today, of 20 origins of the challenger, then the champion's
            raise MemoryError("for a moment")
        return from_table(served, known, horizon)

    monkeypatch.setattr(serving, "from_table", fails_once)
    found = judged(project, *runs["naive"], runs["day_type_naive"][1])
    assert calls == 25
    assert not found["the champion forecasts"].passed
    assert "MemoryError: for a moment" in found["the champion forecasts"].reason


def test_the_chance_that_is_allowed_is_shared_by_the_models_that_the_winner_was_chosen_from() -> None:
    limits = Championship(**{**LIMITS, "significance": 0.1})
    assert limits.limits(4).significance == pytest.approx(0.025)
    assert limits.limits(1).significance == pytest.approx(0.1)


def test_data_that_were_not_validated_are_no_ground(project: Project, runs: dict[str, tuple[str, str]]) -> None:
    run, version = runs["day_type_naive"]
    told = json.loads(tracking.text(project.tracking, run, "validation.json"))
    bad = {**told, "checks": [{**told["checks"][0], "success": False}, *told["checks"][1:]]}
    try:
        tracking.put(project.tracking, run, {"validation.json": json.dumps(bad)})
        found = judged(project, run, version, runs["naive"][1])
    finally:
        tracking.put(project.tracking, run, {"validation.json": json.dumps(told)})
    assert failed(found) == {"data validated"}


def test_without_a_champion_the_best_baseline_serves_where_the_winner_may_not(
    project: Project, runs: dict[str, tuple[str, str]]
) -> None:
    uri, run = project.settings.tracking_uri, runs["gru"][0]
    before = registry.by_alias(uri, NAME, "champion")
    assert before is not None
    try:
        registry.unset_alias(uri, NAME, "champion")
        never = asked(coverage=(1.0, 1.0))  # which no network keeps
        assert promote.judged(project.settings, "tiny", run, never).version.model == "gru"
        served = promote.promote(project.settings, "tiny", run, never)
        now = registry.by_alias(uri, NAME, "champion")
        registry.unset_alias(uri, NAME, "champion")
        with pytest.raises(PromotionError, match="size"):  # what is too large for all is so for the baseline too
            promote.promote(project.settings, "tiny", run, asked(megabytes=0.001))
        assert registry.by_alias(uri, NAME, "champion") is None
    finally:
        registry.set_alias(uri, NAME, "champion", before.number)
    assert served.model == "naive"
    assert now is not None
    assert now.number == served.version
    line = champion.moves(project.settings, "tiny").iloc[-1]
    assert line["reason"].startswith("the best baseline, as there is no champion and gru failed: ")
    assert "coverage" in line["reason"]


@pytest.mark.usefixtures("back")
def test_where_the_gate_refuses_training_still_forecasts_with_the_champion(
    project: Project, runs: dict[str, tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    crown(project, runs["day_type_naive"][1])
    refused = PromotionError("better", "worse", "nothing")
    monkeypatch.setattr("flows.pools.modelled", lambda *_: (_ for _ in ()).throw(refused))
    with pytest.raises(PromotionError):
        project.train("model=[naive]")
    assert "forecast tiny" in project.ran


def test_the_files_of_a_version_hold_the_forecast_that_it_must_repeat(
    project: Project, runs: dict[str, tuple[str, str]]
) -> None:
    folder: Path = registry.load(project.settings.tracking_uri, NAME, runs["gru"][1]).folder
    example = registry.stored(folder)
    made = serving.forecast(serving.of_version(folder), example.inputs, example.horizon)
    numbers = made.select_dtypes("number").columns
    np.testing.assert_allclose(made[numbers], example.expected[numbers], rtol=1e-6)
