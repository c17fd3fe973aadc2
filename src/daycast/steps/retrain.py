"""The rule of ``core.retrain`` asked of what MLflow, the registry and the store know; see there for what it weighs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pandas as pd

from daycast.adapters import registry, store, tracking
from daycast.config import Config
from daycast.core import history, retrain
from daycast.core.retrain import Action, State
from daycast.errors import DaycastError, ToolError
from daycast.settings import Settings
from daycast.steps import card, champion, episodes
from daycast.steps.compare import baselines
from daycast.steps.data import arrays
from daycast.steps.record import tracker
from daycast.steps.reference import DataRef
from daycast.steps.register import DATA_UNTIL, REGISTERED
from daycast.steps.trial import trial


def asked(settings: Settings, config: Config, data: DataRef, day: date) -> Action:
    """Whether to train on a day: by the monitoring's alarm of it, the champion's age and trial, and the last training.

    Only runs that registered a winner count: one that failed is tried again. So do trainings by hand, but for those as
    of a past day. Of refusals, those since the alarm's episode began.

    Args:
        data: what there is to train on.
    """
    dataset = config.dataset
    found = tracking.finished(tracker(settings), dataset.name, REGISTERED)
    own = [run for run in found if "daycast.as_of" not in run.tags]

    def local(moment: pd.Timestamp) -> pd.Timestamp:
        return moment.tz_convert(dataset.timezone).tz_localize(None)

    def started(run: tracking.Run) -> pd.Timestamp:
        return local(pd.Timestamp(run.started, unit="ms", tz="UTC"))

    with store.opened(settings.store_url) as engine:
        going = store.going_on(engine, dataset.name, "forecasts")
    alarmed = going is not None and going.last == day
    since = pd.Timestamp(going.began) if going is not None and alarmed else pd.Timestamp.min
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
    new = _on_trial(settings, config, data)
    state = State(
        trained=started(own[-1]).date() if own else None,
        refused=refused,
        champion_trained=until,
        alarm="; ".join(episodes.causes(going)) if going is not None and alarmed else None,
        stopgap=now is not None and now.tags["daycast.model"] in baselines(config),
        trial=new.trial if isinstance(new, _New) else None,
        seen=bool(own) and own[-1].tags.get("daycast.data_version") == data.version,
    )
    return retrain.decided(config.monitoring.retrain.rule(), state, day)


def taken_back(settings: Settings, config: Config, data: DataRef) -> Action:
    """Roll a new champion back if it does worse on its trial than the one before would have.

    A champion that was put there by hand, or by a rollback, is on no trial. A trial's days are those of the data, so
    that late ones don't end it.

    Raises:
        PromotionError: the one before does not forecast any more; the new one stays.
    """
    registry.require_answer(settings.tracking_uri)
    new = _on_trial(settings, config, data)
    if isinstance(new, str):
        return Action("wait", new)
    newest = arrays(settings, config.dataset.spec(), data).panel.cutoff.date()
    action = retrain.decided(config.monitoring.retrain.rule(), State(newest, 0, newest, None, trial=new.trial), newest)
    if action.kind == "roll back":
        champion.rollback(settings, config.dataset, new.previous, action.reason, dry_run=False, data=data)
        return action
    return Action("wait", f"version {new.number}, of data up to {new.since}, is on trial, and does no worse so far")


@dataclass(frozen=True)
class _New:
    """A champion on trial: its number, that of the one before, the first day it had not seen, how it has done."""

    number: str
    previous: str
    since: date
    trial: retrain.Trial | None


def _on_trial(settings: Settings, config: Config, data: DataRef) -> _New | str:
    """The champion that is on trial, or why none is."""
    dataset, rule = config.dataset, config.monitoring.retrain
    name = registry.model_name(dataset.name)
    versions = registry.versions(settings.tracking_uri, name)
    moves = champion.present(champion.moves(settings, dataset.name), versions)
    now = registry.by_alias(settings.tracking_uri, name, champion.CHAMPION)
    if now is None or moves.empty or moves["to_version"].iloc[-1] != now.number:
        return "the history knows of no promotion of this champion"
    since = pd.Timestamp(now.tags[DATA_UNTIL]).date()
    newest = arrays(settings, dataset.spec(), data).panel.cutoff.date()
    before = history.before(moves, now.number)
    previous = next((v for v in versions if v.number == before), None)
    if moves["kind"].iloc[-1] != "promotion" or previous is None or (newest - since).days > rule.trial:
        return f"version {now.number}, of data up to {since}, is on no trial"
    try:
        on = trial(settings, dataset, data, since, (now, previous))
    except ToolError:
        raise
    except DaycastError as error:
        return f"version {previous.number}, the champion before, does not forecast: {error.found}"
    return _New(now.number, previous.number, since, on)
