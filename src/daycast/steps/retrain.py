"""The rule of ``core.retrain`` asked of what MLflow, the registry and the store know; see there for what it weighs."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pandas as pd

from daycast.adapters import registry, tracking
from daycast.config import Config
from daycast.core import history, retrain
from daycast.core.retrain import Action, State
from daycast.settings import Settings
from daycast.steps import card, champion
from daycast.steps.compare import baselines
from daycast.steps.record import tracker
from daycast.steps.reference import DataRef
from daycast.steps.register import DATA_UNTIL, REGISTERED
from daycast.steps.trial import trial


def asked(settings: Settings, config: Config, day: date, alarm: str | None) -> Action:
    """Whether to train on a day, by when the last training was, what the gate said, and how old the champion is.

    Only runs that registered a winner count: one that failed is tried again. So do trainings by hand, but for those as
    of a past day.

    Args:
        alarm: in words; ``None`` if there is none.
    """
    dataset = config.dataset
    found = tracking.finished(tracker(settings), dataset.name, REGISTERED)
    own = [run for run in found if "daycast.as_of" not in run.tags]
    trained = datetime.fromtimestamp(own[-1].started / 1000, UTC) if own else None
    refused = 0
    for run in reversed(own):
        if run.tags.get(card.VERDICT) != "refused":
            break
        refused += 1
    moves = champion.moves(settings, dataset.name)
    refused += int(len(moves) > 0 and moves["kind"].iloc[-1] == "rollback")
    now = registry.by_alias(settings.tracking_uri, registry.model_name(dataset.name), champion.CHAMPION)
    until = None if now is None else pd.Timestamp(now.tags[DATA_UNTIL]).date() if DATA_UNTIL in now.tags else date.min
    state = State(
        trained=None if trained is None else trained.astimezone(ZoneInfo(dataset.timezone)).date(),
        refused=refused,
        champion_trained=until,
        alarm=alarm,
        stopgap=now is not None and now.tags["daycast.model"] in baselines(config),
    )
    return retrain.decided(config.monitoring.retrain.rule(), state, day)


def taken_back(settings: Settings, config: Config, data: DataRef, day: date) -> Action:
    """Roll a new champion back if it does worse on its trial than the one before would have, or than the naive.

    A champion that was put there by hand, or by a rollback, is on no trial.

    Raises:
        PromotionError: the one before does not forecast any more; the new one stays.
    """
    dataset, rule = config.dataset, config.monitoring.retrain
    name = registry.model_name(dataset.name)
    versions = registry.versions(settings.tracking_uri, name)
    moves = champion.present(champion.moves(settings, dataset.name), versions)
    now = registry.by_alias(settings.tracking_uri, name, champion.CHAMPION)
    if now is None or moves.empty or moves["to_version"].iloc[-1] != now.number:
        return Action("wait", "the history knows of no promotion of this champion")
    since = moves["decided_at"].iloc[-1].tz_convert(dataset.timezone).date()
    before = history.before(moves, now.number)
    previous = next((v for v in versions if v.number == before), None)
    if moves["kind"].iloc[-1] != "promotion" or previous is None or (day - since).days > rule.trial:
        return Action("wait", f"version {now.number} is champion since {since}, and on no trial")
    on = trial(settings, dataset, data, since, (now, previous))
    action = retrain.decided(rule.rule(), State(day, 0, day, None, trial=on), day)
    if action.kind == "roll back":
        champion.rollback(settings, dataset, previous.number, action.reason, dry_run=False, data=data)
        return action
    return Action("wait", f"version {now.number} is champion since {since}, on trial, and does no worse so far")
