"""The retrain rule where it is asked: by the flow that an alarm starts, and of a new champion on trial."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from flows.deploying import automations
from flows.monitoring import monitoring
from flows.training import training
from mlflow import MlflowClient
from sqlalchemy import insert
from tests.flows.test_monitoring import told
from tests.project import TINY, Project
from tests.steps.test_promotion_gate import away, folder_of
from tests.steps.test_replay import version

from daycast.adapters import registry, store, tracking
from daycast.core.lineage import Lineage
from daycast.core.retrain import Trial
from daycast.errors import PromotionError, ToolError, unanswered
from daycast.steps import champion, promote, retrain, rollback, shelf
from daycast.steps.data import frame
from daycast.steps.reference import DataRef
from daycast.steps.register import DATA_UNTIL
from daycast.steps.trial import trial
from flows import running, trials

__all__ = ["told"]
pytestmark = [pytest.mark.xdist_group("flows"), pytest.mark.usefixtures("project")]

NAME, SINCE, TODAY = "daycast-tiny", date(2019, 6, 1), date(2019, 6, 20)
MARK = "on trial"
NEITHER = ("gru_quantiles", "naive")  # without intervals, and `third`


def number(project: Project) -> str:
    return registry.required(project.settings.tracking_uri, NAME, "champion").number


@pytest.fixture
def promoted(project: Project) -> Iterator[tuple[str, str]]:
    """The champion, as if it had been promoted on ``SINCE``, and the one before; undone afterwards."""
    now = number(project)
    every = registry.versions(project.settings.tracking_uri, NAME)
    other = next(v.number for v in every if v.number != now and v.tags["daycast.model"] not in NEITHER)
    own = next(v.tags for v in every if v.number == now)
    lines, rows = store.tables.promotions, store.tables.forecasts
    at = datetime(SINCE.year, SINCE.month, SINCE.day, 12, tzinfo=UTC)
    last = len(champion.moves(project.settings, "tiny"))
    told = {"dataset": "tiny", "run_id": own["daycast.run_id"], "decision": {}, "decided_at": at, "kind": "promotion"}
    with store.opened(project.settings.store_url) as engine, engine.begin() as connection:
        connection.execute(insert(lines).values(number=last + 1, from_version=other, to_version=now, **told))
    registry.tag(project.settings.tracking_uri, NAME, now, {DATA_UNTIL: SINCE.isoformat()})
    yield now, other
    registry.tag(project.settings.tracking_uri, NAME, now, {DATA_UNTIL: own[DATA_UNTIL]})
    registry.set_alias(project.settings.tracking_uri, NAME, "champion", now)
    with store.opened(project.settings.store_url) as engine, engine.begin() as connection:
        connection.execute(lines.delete().where(lines.c.number > last))
        connection.execute(rows.delete().where(rows.c.config_hash == MARK))


@pytest.fixture
def third(project: Project) -> str:
    """A version that is neither of the two."""
    before = number(project)
    run_id = project.train("model=[naive]").run.run_id
    if number(project) != before:
        promote.override(project.settings, project.config().dataset, before, "as it was")
    return promote.decided(project.settings, run_id)[1]["naive"].version


def forecasts(project: Project, version: str, off: float) -> None:
    """Forecasts of a version from the twelve days after ``SINCE``, each off by a share of what came."""
    known = frame(project.settings, project.data).dropna(subset="y").set_index(["unique_id", "ds"])["y"]
    rows = [
        (name, cutoff, ds := cutoff + pd.Timedelta(days=step), step, known[name, ds] * (1 + off))
        for cutoff in pd.date_range(SINCE, periods=12)
        for name in ("bus", "rail")
        for step in range(1, 8)
    ]
    made = pd.DataFrame(rows, columns=["unique_id", "cutoff", "ds", "step", "y_hat"])
    assert np.isfinite(made["y_hat"]).all()
    run = registry.load(project.settings.tracking_uri, NAME, version).version.tags["daycast.run_id"]
    with store.opened(project.settings.store_url) as engine:
        store.write_forecasts(engine, "tiny", made, ("mine", version), Lineage("data", "commit", MARK, run))


@pytest.fixture
def alarmed(project: Project) -> Iterator[Callable[[date, str | None], None]]:
    """Write down what the monitoring of a day saw; undone afterwards."""

    def see(day: date, cause: str | None) -> None:
        told = [] if cause is None else [{"name": "error", "cause": cause, "series": []}]
        with store.opened(project.settings.store_url) as engine:
            store.follow_alarms(engine, "tiny", day, {"forecasts": told}, timedelta(days=7))

    yield see
    with store.opened(project.settings.store_url) as engine, engine.begin() as connection:
        rows = store.tables.alarm_episodes
        connection.execute(rows.delete().where(rows.c.dataset == "tiny", rows.c.seen != []))


def test_a_training_that_an_alarm_asks_for_in_the_cool_down_ends_completed_and_says_so(
    project: Project, alarmed: Callable[[date, str | None], None]
) -> None:
    alarmed(project.config().dataset.today(), "as bad as can be")
    before = {run.run_id for run in tracking.finished(project.tracking, "tiny", {})}
    state = running.start(training, overrides=TINY, by_rule=True, return_state=True)
    assert state.is_completed()
    assert "wait: not yet: trained 0 days ago, cooling down for" in state.message
    assert "alarm: error: as bad as can be" in state.message
    assert {run.run_id for run in tracking.finished(project.tracking, "tiny", {})} == before


def test_the_automation_of_an_alarm_asks_the_rule() -> None:
    from uuid import uuid4

    made = {one.name: one for one in automations("tiny", uuid4(), uuid4())}
    (action,) = made["daycast: train tiny on alarm"].actions
    assert action.parameters == {"by_rule": True}


def test_the_rule_goes_by_the_last_training_that_registered_a_winner_by_new_data_and_by_todays_alarm(
    project: Project, alarmed: Callable[[date, str | None], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = project.config()
    today, rule = config.dataset.today(), config.monitoring.retrain
    later = today + timedelta(days=rule.longest)

    def asked(day: date) -> retrain.Action:
        return retrain.asked(project.settings, config, project.data, day)

    alarmed(today, "bad")
    assert "not yet: trained 0 days ago" in asked(today).reason
    assert asked(today).reason.endswith("alarm: error: bad")
    assert "bad" not in asked(today + timedelta(days=1)).reason  # nobody has seen it on that day
    alarmed(later, "bad")
    assert "saw all the data" in asked(later).reason
    finished = tracking.finished(project.tracking, "tiny", {})
    newer = [replace(run, tags={**run.tags, "daycast.data_version": "older"}) for run in finished]
    monkeypatch.setattr(tracking, "finished", lambda *_: newer)
    assert (asked(later).kind, asked(later).reason) == ("train", "alarm: error: bad")
    quiet, now = asked(later + timedelta(days=1)), registry.required(project.settings.tracking_uri, NAME, "champion")
    if now.tags["daycast.model"] in ("naive", "seasonal_naive", "day_type_naive"):
        assert (quiet.kind, quiet.reason) == ("train", "the champion is a naive baseline, a stopgap")
    else:
        assert quiet.kind == "wait"
        assert quiet.reason.startswith("no alarm, and the champion was trained on data that end 0 days before the")


def test_a_training_and_an_alarm_of_a_clock_that_ran_ahead_hold_back_no_training_of_now(
    project: Project, alarmed: Callable[[date, str | None], None]
) -> None:
    config = project.config()
    day = config.dataset.today() - timedelta(days=100)  # by which every training of the project is of a coming day
    alarmed(day + timedelta(days=1000), "bad")
    alarmed(day, "bad")
    asked = retrain.asked(project.settings, config, project.data, day)
    assert (asked.kind, asked.reason) == ("train", "alarm: error: bad")


def test_a_new_champion_that_does_worse_than_the_one_before_is_rolled_back(
    project: Project, promoted: tuple[str, str]
) -> None:
    now, other = promoted
    forecasts(project, now, 0.9)
    action = retrain.taken_back(project.settings, project.config(), project.data.until(TODAY))
    assert action.kind == "roll back"
    assert "on 18 days" in action.reason
    assert number(project) == other
    line = champion.moves(project.settings, "tiny").iloc[-1]
    assert (line["kind"], line["from_version"], line["to_version"]) == ("rollback", now, other)
    assert line["reason"] == action.reason
    again = retrain.taken_back(project.settings, project.config(), project.data.until(TODAY))
    assert again.kind == "wait"  # what a rollback put there is on no trial


def test_nothing_goes_back_by_itself_to_a_version_that_forecasts_less_far(
    project: Project, promoted: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now, other = promoted
    forecasts(project, now, 0.9)
    uri, dataset = project.settings.tracking_uri, project.config().dataset
    registry.tag(uri, NAME, other, {champion.HORIZON: "3"})
    try:
        action = retrain.taken_back(project.settings, project.config(), project.data.until(TODAY))
        told = rollback.warning(project.settings, "tiny", now, other)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        down = replace(project.settings, tracking_uri="http://127.0.0.1:1")
        assert rollback.warning(down, "tiny", now, other) is None
        assert rollback.rollback(project.settings, dataset, other, "to see", dry_run=True) == (now, other)
    finally:
        registry.tag(uri, NAME, other, {champion.HORIZON: "7"})
    less = f"version {other} forecasts 3 steps ahead, version {now} 7"
    assert (action.kind, number(project)) == ("wait", now)
    assert action.reason.endswith(less)
    assert told == f"{less}: the days after those are not forecast any more"
    assert rollback.warning(project.settings, "tiny", now, other) is None


def test_a_new_champion_that_does_well_stays(project: Project, promoted: tuple[str, str]) -> None:
    now, _ = promoted
    forecasts(project, now, 0.001)
    action = retrain.taken_back(project.settings, project.config(), project.data.until(TODAY))
    assert (action.kind, number(project)) == ("wait", now)
    assert "on trial, and does no worse so far" in action.reason


def late(project: Project) -> DataRef:
    """The data as they are on the first day after the trial, or as they come where a month comes at once."""
    return project.data.until(SINCE + timedelta(days=project.config().monitoring.retrain.trial + 1))


def test_a_champion_whose_days_all_come_at_once_is_judged_on_the_first_of_them(
    project: Project, promoted: tuple[str, str]
) -> None:
    now, other = promoted
    forecasts(project, now, 0.9)
    action = retrain.taken_back(project.settings, project.config(), late(project))
    assert (action.kind, number(project)) == ("roll back", other)


def test_a_trial_has_an_end_and_is_judged_once(project: Project, promoted: tuple[str, str]) -> None:
    now, _ = promoted
    forecasts(project, now, 0.001)
    first = retrain.taken_back(project.settings, project.config(), late(project))
    assert (first.kind, number(project)) == ("wait", now)
    assert "the trial is over; MAE " in first.reason
    assert " on 18 days" in first.reason
    told = registry.required(project.settings.tracking_uri, NAME, "champion").tags[retrain.TRIAL]
    assert told.endswith(first.reason.partition("over; ")[2])
    again = retrain.taken_back(project.settings, project.config(), late(project))
    assert (again.kind, number(project)) == ("wait", now)
    assert "on no trial" in again.reason
    registry.tag(project.settings.tracking_uri, NAME, now, {retrain.TRIAL: "promotion 0: of another one"})
    assert "is over" in retrain.taken_back(project.settings, project.config(), late(project)).reason


def test_a_champion_that_somebody_moved_meanwhile_is_not_rolled_back_for_what_another_did(
    project: Project, third: str, promoted: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    forecasts(project, promoted[0], 0.9)

    def slow(*given: Any) -> Trial | None:
        made = trial(*given)
        registry.set_alias(project.settings.tracking_uri, NAME, "champion", third)
        return made

    monkeypatch.setattr(retrain, "trial", slow)
    with pytest.raises(PromotionError, match=f"version {third}, which took its place meanwhile"):
        retrain.taken_back(project.settings, project.config(), project.data.until(TODAY))
    assert number(project) == third


@pytest.fixture
def by_hand(project: Project) -> Iterator[str]:
    """A champion that somebody made and named in MLflow, without any of daycast's tags; undone afterwards."""
    before = number(project)
    client = MlflowClient(project.settings.tracking_uri, project.settings.tracking_uri)
    made = str(client.create_model_version(NAME, client.get_model_version(NAME, before).source).version)
    registry.set_alias(project.settings.tracking_uri, NAME, "champion", made)
    yield made
    registry.set_alias(project.settings.tracking_uri, NAME, "champion", before)
    client.delete_model_version(NAME, made)


def in_peace(project: Project, data: DataRef | None = None) -> retrain.Action:
    """What the rule says when the cool-down is over and data have come."""
    config = project.config()
    later = config.dataset.today() + timedelta(days=config.monitoring.retrain.longest)
    finished = tracking.finished(project.tracking, "tiny", {})
    newer = [replace(run, tags={**run.tags, "daycast.data_version": "older"}) for run in finished]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracking, "finished", lambda *_: newer)
        return retrain.asked(project.settings, config, data or project.data, later)


def test_a_champion_that_daycast_did_not_make_is_trained_again_on_no_trial_and_monitored(
    project: Project, by_hand: str
) -> None:
    asked = in_peace(project)
    assert (asked.kind, asked.reason) == ("train", f"the champion, version {by_hand}, was not made by daycast")
    assert retrain.taken_back(project.settings, project.config(), project.data).kind == "wait"
    assert running.start(monitoring, dataset="tiny", fetch=False).unlogged is None


@pytest.mark.parametrize("edited", [None, "last week", "2019-12-01T00:00:00Z", "9999-12-31"])
def test_a_champion_that_does_not_say_what_it_has_seen_is_trained_again_on_no_trial_and_monitored(
    project: Project, promoted: tuple[str, str], edited: str | None
) -> None:
    now, _ = promoted
    client = MlflowClient(project.settings.tracking_uri, project.settings.tracking_uri)
    if edited is None:
        client.delete_model_version_tag(NAME, now, DATA_UNTIL)
    else:
        registry.tag(project.settings.tracking_uri, NAME, now, {DATA_UNTIL: edited})
    asked, judged = in_peace(project), retrain.taken_back(project.settings, project.config(), project.data)
    assert asked.kind == "train"
    assert f"version {now}, does not say what it has seen" in asked.reason
    assert (judged.kind, "no trial" in judged.reason) == ("wait", True)
    assert running.start(monitoring, dataset="tiny", fetch=False).unlogged is None


def test_a_champion_that_took_the_place_of_one_made_by_hand_is_on_no_trial(
    project: Project, promoted: tuple[str, str], by_hand: str
) -> None:
    now, other = promoted
    registry.set_alias(project.settings.tracking_uri, NAME, "champion", now)
    lines = store.tables.promotions
    with store.opened(project.settings.store_url) as engine, engine.begin() as connection:
        newest = len(champion.moves(project.settings, "tiny"))
        connection.execute(lines.update().where(lines.c.number == newest).values(from_version=by_hand))
    judged = retrain.taken_back(project.settings, project.config(), project.data.until(TODAY))
    assert judged.reason == f"no trial of version {now}: version {by_hand}, the one before, lacks tags of daycast"
    assert other != by_hand


@pytest.fixture
def of_series(project: Project, network: str) -> Iterator[str]:
    """A champion that forecasts the series that it was fitted on and no other; undone afterwards."""
    before = number(project)
    registry.set_alias(project.settings.tracking_uri, NAME, "champion", network)
    yield network
    registry.set_alias(project.settings.tracking_uri, NAME, "champion", before)


def with_another_series(project: Project) -> DataRef:
    """The data, and in the last month a series that was never there."""
    told = frame(project.settings, project.data)
    new = told[(told["unique_id"] == "bus") & (told["ds"] >= "2019-12-01")].assign(unique_id="tram")
    assert new["y"].notna().any()
    return version(project, pd.concat([told, new.astype(told.dtypes)], ignore_index=True))


def up_to(project: Project, day: str) -> DataRef:
    """The data, prepared up to a day alone."""
    told = frame(project.settings, project.data)
    return version(project, told[told["ds"] <= day].reset_index(drop=True))


def test_a_champion_whose_files_are_gone_is_trained_again_after_the_cool_down(project: Project) -> None:
    now, config = number(project), project.config()
    copy = shelf.shelf(project.settings, "tiny")
    with away(folder_of(project, now).parent, *([copy] if copy.exists() else [])):
        asked, soon = in_peace(project), retrain.asked(project.settings, config, project.data, config.dataset.today())
    assert asked.kind == "train"
    assert asked.reason.startswith(f"the champion, version {now}, does not forecast any more: files of a model at ")
    assert (soon.kind, "not yet: trained 0 days ago" in soon.reason) == ("wait", True)
    assert soon.reason.endswith(asked.reason)
    assert "does not forecast" not in in_peace(project).reason


def test_a_champion_that_can_not_take_a_series_that_has_come_is_trained_again(project: Project, of_series: str) -> None:
    asked = in_peace(project, with_another_series(project))
    assert asked.kind == "train"
    assert asked.reason.startswith(f"the champion, version {of_series}, does not forecast any more: the 2 series")
    assert in_peace(project).kind == "wait"


@pytest.mark.usefixtures("of_series")
def test_of_data_that_are_too_late_for_anybody_the_champion_is_not_to_blame(project: Project) -> None:
    late, config = up_to(project, "2020-01-03"), project.config()
    now = registry.required(project.settings.tracking_uri, NAME, "champion")
    why = shelf.failing(project.settings, config.dataset, now, late)
    assert why is not None
    assert "a row of every one of its timestamps after 2019-12-31" in why
    asked = in_peace(project, late)
    assert (asked.kind, "no alarm" in asked.reason) == ("wait", True)


def test_an_mlflow_that_does_not_answer_says_nothing_of_the_champion_which_is_asked_once(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    load, nobody, asked = registry.load, "http://127.0.0.1:1", []

    def loaded(uri: str, *given: Any) -> Any:
        asked.append(uri)
        return load(uri if len(asked) == 1 else nobody, *given)

    monkeypatch.setattr(registry, "load", loaded)
    in_peace(project)
    assert len(asked) == 1
    with pytest.raises(ToolError, match=nobody) as error:
        in_peace(project)
    assert unanswered(error.value)


def test_a_champion_before_whose_files_are_gone_is_nothing_to_hold_the_new_one_against(
    project: Project, promoted: tuple[str, str]
) -> None:
    now, other = promoted
    forecasts(project, now, 0.9)
    with away(folder_of(project, other).parent):
        judged = retrain.taken_back(project.settings, project.config(), project.data.until(TODAY))
    assert (judged.kind, number(project)) == ("wait", now)
    assert judged.reason.startswith(f"version {other}, the champion before, does not forecast: MLflow at ")


def test_people_are_told_of_a_rollback_with_its_series_and_the_version_in_mlflow(
    project: Project, promoted: tuple[str, str], told: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now, _ = promoted
    forecasts(project, now, 0.9)
    action = retrain.taken_back(project.settings, project.config(), project.data.until(TODAY))
    assert (action.version, set(action.series)) == (now, {"bus", "rail"})
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example:5000/")
    trials.tell_of_rollback.fn("tiny", action)
    (notice,) = told
    assert f"series: {', '.join(action.series)}" in notice["message"]
    assert f"see: http://mlflow.example:5000/#/models/{NAME}/versions/{now}" in notice["message"]
