"""The rule of ``core.retrain`` asked of what MLflow, the registry and the store know; see there for what it weighs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

import pandas as pd

from daycast.adapters import registry, store, tracking
from daycast.config import Config, config_hash
from daycast.core import history, retrain
from daycast.core.retrain import Action, State
from daycast.errors import DaycastError, unanswered
from daycast.settings import Settings
from daycast.steps import card, champion, episodes, rollback
from daycast.steps.champion import MODEL
from daycast.steps.compare import baselines
from daycast.steps.data import arrays
from daycast.steps.record import tracker
from daycast.steps.reference import DataRef
from daycast.steps.register import DATA_UNTIL, REGISTERED, when
from daycast.steps.shelf import failing
from daycast.steps.trial import trial

TRIAL = "daycast.trial"  # tag of a version: which promotion's trial is over, and how it ended


def asked(settings: Settings, config: Config, data: DataRef, day: date) -> Action:
    """Whether to train on a day: by the monitoring's alarm of it, the champion's state, and the last training.

    Only runs of the same configuration that registered a winner count: one that failed is tried again, and an
    experiment is none. So do trainings by hand, but for those as of a past day. Of refusals, those since the alarm's
    episode began.

    Args:
        data: what there is to train on.

    Raises:
        ToolError: MLflow or the store do not answer.
    """
    dataset = config.dataset
    found = tracking.finished(tracker(settings), dataset.name, REGISTERED)
    mine = config_hash(config)

    def local(moment: pd.Timestamp) -> pd.Timestamp:
        return moment.tz_convert(dataset.timezone).tz_localize(None)

    def started(run: tracking.Run) -> pd.Timestamp:
        return local(pd.Timestamp(run.started, unit="ms", tz="UTC"))

    own = [run for run in found if "daycast.as_of" not in run.tags and run.tags.get("daycast.config_hash") == mine]
    own = [run for run in own if started(run).date() <= day]  # one of a coming day would let none of now count
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
    until = None if now is None else _seen(now)
    known = arrays(settings, dataset.spec(), data)
    new = _on_trial(settings, config, data)
    state = State(
        trained=started(own[-1]).date() if own else None,
        refused=refused,
        age=None if until is None else (known.panel.cutoff.date() - until).days,
        alarm="; ".join(episodes.causes(going)) if going is not None and alarmed else None,
        stopgap=now is not None and now.tags.get(MODEL) in baselines(config),
        trial=new.trial if isinstance(new, _New) and not new.over else None,
        seen=bool(own) and own[-1].tags.get("daycast.data_version") == data.version,
        unknown=None if now is None else _unknown(now),
        failing=None if now is None else _failing(settings, config, data, now, len(known.beyond.ds)),
    )
    return retrain.decided(config.monitoring.retrain.rule(), state, day)


def _failing(settings: Settings, config: Config, data: DataRef, now: registry.Version, ahead: int) -> str | None:
    """Why the champion does not forecast; ``None`` also where the data end too early for anybody to do so.

    Args:
        ahead: timestamps after the data that are prepared.
    """
    if ahead < config.backtest.horizon:
        return None
    why = failing(settings, config.dataset, now, data)
    return why and f"the champion, version {now.number}, does not forecast any more: {why}"


def taken_back(settings: Settings, config: Config, data: DataRef) -> Action:
    """Roll a new champion back if it does worse on its trial than the one before would have.

    A champion that was put there by hand, or by a rollback, is on no trial. A trial's days are those of the data, so
    that late ones don't end it: where a month comes at once, it is judged on the first days of that, and once.

    Raises:
        PromotionError: the one before does not forecast any more, or the champion was moved meanwhile.
    """
    registry.require_answer(settings.tracking_uri)
    champion.settle(settings, config.dataset.name)
    new = _on_trial(settings, config, data)
    if isinstance(new, str):
        return Action("wait", new)
    state = State(trained=new.since, refused=0, age=0, alarm=None, trial=new.trial)
    action = retrain.decided(config.monitoring.retrain.rule(), state, new.since)
    if action.kind == "roll back":
        at = {"data": data, "expected": new.number}
        rollback.rollback(settings, config.dataset, new.previous, action.reason, dry_run=False, **at)
        return replace(action, version=new.number)
    beside = f"version {new.number}, of data up to {new.since}, beside version {new.previous}"
    if not new.over:
        return Action("wait", f"{beside}, is on trial, and does no worse so far")
    on = new.trial
    told = f"MAE {on.champion:,.4g} against {on.previous:,.4g} on {on.days} days" if on else "no day came to judge by"
    name = registry.model_name(config.dataset.name)
    registry.tag(settings.tracking_uri, name, new.number, {TRIAL: f"{new.promotion}: over; {beside}: {told}"})
    return Action("wait", f"{beside}: the trial is over; {told}")


@dataclass(frozen=True)
class _New:
    """A champion on trial.

    Attributes:
        promotion: which line of the history it is.
        number, previous: of the champion, and of the one before.
        since: the first day that it had not seen.
        trial: how it has done; ``None`` if nothing has come.
        over: whether later days have come than those of the trial, which was not judged on all of its own yet.
    """

    promotion: str
    number: str
    previous: str
    since: date
    trial: retrain.Trial | None
    over: bool


def _on_trial(settings: Settings, config: Config, data: DataRef) -> _New | str:
    """The champion that is on trial, or why none is."""
    dataset, rule = config.dataset, config.monitoring.retrain
    name = registry.model_name(dataset.name)
    versions = registry.versions(settings.tracking_uri, name)
    moves = champion.present(champion.moves(settings, dataset.name), versions)
    now = registry.by_alias(settings.tracking_uri, name, champion.CHAMPION)
    if now is None or moves.empty or moves["to_version"].iloc[-1] != now.number:
        return "the history knows of no promotion of this champion"
    since, unknown = _seen(now), _unknown(now)
    if since is None or unknown is not None:
        return f"no trial: {unknown}"
    promotion, end = f"promotion {moves['number'].iloc[-1]}", since + timedelta(days=rule.trial)
    there = {v.number: v for v in versions}  # the champion before may be deleted: the one before that was there, then
    previous = next((there[n] for n in history.former(moves, now.number) if n in there), None)
    judged = now.tags.get(TRIAL, "").startswith(f"{promotion}: ")
    if moves["kind"].iloc[-1] != "promotion" or previous is None or judged or not rule.trial:
        return f"version {now.number}, of data up to {since}, is on no trial"
    if MODEL not in previous.tags or champion.horizon(previous.tags) is None:
        return f"no trial of version {now.number}: version {previous.number}, the one before, lacks tags of daycast"
    if shorter := rollback.shorter(now, previous):
        return f"no trial, as nothing goes back by itself to a version that forecasts less far: {shorter}"
    over = arrays(settings, dataset.spec(), data).panel.cutoff.date() > end
    try:
        on = trial(settings, dataset, data.until(end) if over else data, since, (now, previous))
    except DaycastError as error:
        if unanswered(error):
            raise
        return f"version {previous.number}, the champion before, does not forecast: {error.found}"
    return _New(promotion, now.number, previous.number, since, on, over)


def _seen(version: registry.Version) -> date | None:
    """The last day of the data that a version has seen; ``None`` if it does not say so."""
    told = when(version.tags, DATA_UNTIL)
    return None if told is None else told.date()


def _unknown(version: registry.Version) -> str | None:
    """Why nothing can be told of a champion that somebody put there by hand, or whose tags are gone."""
    if not {MODEL, champion.RUN} <= version.tags.keys():
        return f"the champion, version {version.number}, was not made by daycast"
    if _seen(version) is None:
        return f"the champion, version {version.number}, does not say what it has seen: no date in its tag {DATA_UNTIL}"
    return None
