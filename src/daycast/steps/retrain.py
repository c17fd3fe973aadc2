"""The rule of ``core.retrain`` asked of what MLflow, the registry and the store know; see there for what it weighs."""

from __future__ import annotations

from datetime import date

import pandas as pd

from daycast.adapters import registry, store, tracking
from daycast.config import Config
from daycast.core import history, retrain
from daycast.core.retrain import Action, State
from daycast.errors import DaycastError, ToolError
from daycast.settings import Settings
from daycast.steps import card, champion
from daycast.steps.compare import baselines
from daycast.steps.data import arrays, in_force
from daycast.steps.record import tracker
from daycast.steps.reference import DataRef
from daycast.steps.register import DATA_UNTIL, REGISTERED
from daycast.steps.trial import trial


def asked(settings: Settings, config: Config, day: date, alarm: str | None) -> Action:
    """Whether to train on a day, by when the last training was, what the gate said, and how old the champion is.

    Only runs that registered a winner count: one that failed is tried again. So do trainings by hand, but for those as
    of a past day. Of refusals, those since the alarm's episode began.

    Args:
        alarm: in words; ``None`` if there is none.
    """
    dataset = config.dataset
    found = tracking.finished(tracker(settings), dataset.name, REGISTERED)
    own = [run for run in found if "daycast.as_of" not in run.tags]

    def local(moment: pd.Timestamp) -> pd.Timestamp:
        return moment.tz_convert(dataset.timezone).tz_localize(None)

    def started(run: tracking.Run) -> pd.Timestamp:
        return local(pd.Timestamp(run.started, unit="ms", tz="UTC"))

    began = None if alarm is None else _began(settings, dataset.name)
    since = pd.Timestamp.min if began is None else pd.Timestamp(began)
    refused = 0
    for run in reversed(own):
        if run.tags.get(card.VERDICT) != "refused" or started(run) < since:
            break
        refused += 1
    moves = champion.moves(settings, dataset.name)
    if len(moves) and moves["kind"].iloc[-1] == "rollback":
        refused += int(local(moves["decided_at"].iloc[-1]) >= since)
    now = registry.by_alias(settings.tracking_uri, registry.model_name(dataset.name), champion.CHAMPION)
    until = None if now is None else pd.Timestamp(now.tags[DATA_UNTIL]).date() if DATA_UNTIL in now.tags else date.min
    state = State(
        trained=started(own[-1]).date() if own else None,
        refused=refused,
        champion_trained=until,
        alarm=alarm,
        stopgap=now is not None and now.tags["daycast.model"] in baselines(config),
        seen=bool(own) and own[-1].tags.get("daycast.data_version") == in_force(settings, dataset.name).version,
    )
    return retrain.decided(config.monitoring.retrain.rule(), state, day)


def _began(settings: Settings, dataset: str) -> date | None:
    """First day of the alarm on forecasts that goes on."""
    with store.opened(settings.store_url) as engine:
        return store.alarm_began(engine, dataset, "forecasts")


def taken_back(settings: Settings, config: Config, data: DataRef) -> Action:
    """Roll a new champion back if it does worse on its trial than the one before would have.

    A champion that was put there by hand, or by a rollback, is on no trial. A trial's days are those of the data, so
    that late ones don't end it.

    Raises:
        PromotionError: the one before does not forecast any more; the new one stays.
    """
    dataset, rule = config.dataset, config.monitoring.retrain
    registry.require_answer(settings.tracking_uri)
    name = registry.model_name(dataset.name)
    versions = registry.versions(settings.tracking_uri, name)
    moves = champion.present(champion.moves(settings, dataset.name), versions)
    now = registry.by_alias(settings.tracking_uri, name, champion.CHAMPION)
    if now is None or moves.empty or moves["to_version"].iloc[-1] != now.number:
        return Action("wait", "the history knows of no promotion of this champion")
    since = pd.Timestamp(now.tags[DATA_UNTIL]).date()  # the first day that it had not seen
    newest = arrays(settings, dataset.spec(), data).panel.cutoff.date()
    before = history.before(moves, now.number)
    previous = next((v for v in versions if v.number == before), None)
    if moves["kind"].iloc[-1] != "promotion" or previous is None or (newest - since).days > rule.trial:
        return Action("wait", f"version {now.number}, of data up to {since}, is on no trial")
    try:
        on = trial(settings, dataset, data, since, (now, previous))
    except ToolError:
        raise
    except DaycastError as error:
        return Action("wait", f"version {previous.number}, the champion before, does not forecast: {error.found}")
    action = retrain.decided(rule.rule(), State(newest, 0, newest, None, trial=on), newest)
    if action.kind == "roll back":
        champion.rollback(settings, dataset, previous.number, action.reason, dry_run=False, data=data)
        return action
    return Action("wait", f"version {now.number}, of data up to {since}, is on trial, and does no worse so far")
