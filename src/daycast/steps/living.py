"""A pipeline's life, day by day: forecast, monitor, take back, train again, promote; each from what was known then.

A day is forecast in the morning by the champion of the evening before. Then what came is judged, and the rule of
``core.retrain`` says what to do; a training takes no time. All of it is done by the steps that do it every day, in a
state of its own.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pandas as pd

from daycast.adapters import registry
from daycast.config import Config
from daycast.core import alarms, retrain
from daycast.errors import PromotionError, ToolError
from daycast.settings import Settings
from daycast.steps import champion, forecast, monitor, promote, rollback, train, trial
from daycast.steps.compare import baselines
from daycast.steps.diary import Day, Event, Standing
from daycast.steps.reference import DataRef
from daycast.steps.register import DATA_UNTIL
from daycast.steps.stretches import Stretches


@dataclass
class Life:
    """What a life is lived with.

    Attributes:
        settings: of the replay's own state; ``config``: of trainings, the gate, the monitoring and the rule.
        data: the version of the data, all of it.
        pool: of processes for trainings.
    """

    settings: Settings
    config: Config
    data: DataRef
    stretches: Stretches
    pool: Executor | None = None
    _versions: dict[str, registry.Version] = field(default_factory=dict)

    def begin(self, day: date) -> Day:
        """The day before the first: train, and let the winner, or the best baseline, forecast.

        Raises:
            PromotionError: not even a baseline may.
        """
        why = "there is no champion"
        first = self._first(day)
        told = {"version": first.number, "model": first.tags["daycast.model"]}
        event = Event(day=day, kind="promotion", reason="the first champion", trained=why, **told)
        standing = Standing(
            champion=first.number,
            model=first.tags["daycast.model"],
            champion_trained=day,
            previous=None,
            since=day,
            trained=day,
            refused=0,
            alarmed=None,
            refused_since=0,
        )
        return Day(day=day, forecast_by=None, decision=f"train: {why}", events=(event,), standing=standing)

    def live(self, cutoff: pd.Timestamp, before: Standing) -> Day:
        """One day, from how things stood the evening before. Killed at any moment, the same call goes on with it."""
        day = cutoff.date()
        version = self.version(before.champion)
        forecast.keep(self.settings, self.data, version, self.stretches.rows(version, [cutoff]))
        raised = alarms.raised(monitor.look(self.settings, self.config, self.data.until(day)).alarms, "forecasts")
        told = "; ".join(f"{one.name}: {one.cause}" for one in raised) or None
        calm = self.config.monitoring.calm_days
        begins = told is not None and (before.alarmed is None or (day - before.alarmed).days > calm)
        if begins:  # another episode
            before = before.model_copy(update={"refused_since": 0})
        state = retrain.State(
            trained=before.trained,
            refused=before.refused_since if told else before.refused,
            age=(day - before.champion_trained).days,
            alarm=told,
            stopgap=before.model in baselines(self.config),
            trial=self._trial(day, before),
        )
        action = retrain.decided(self.config.monitoring.retrain.rule(), state, day)
        events = [Event(day=day, kind="alarm", reason=told)] if told and begins else []
        standing = before.model_copy(update={"alarmed": day} if told else {})
        if action.kind == "roll back":
            event, changes = self._rolled_back(day, action.reason, before)
        elif action.kind == "train":
            event, changes = self._trained(day, action.reason, before)
        else:
            event, changes = None, {}
        return Day(
            day=day,
            forecast_by=before.champion,
            decision=f"{action.kind}: {action.reason}",
            events=(*events, *([] if event is None else [event])),
            standing=standing.model_copy(update=changes),
        )

    def version(self, number: str) -> registry.Version:
        """A version of the replay's own registry."""
        if number not in self._versions:
            name = registry.model_name(self.config.dataset.name)
            found = registry.find(self.settings.tracking_uri, name, number)
            if found is None:
                raise ToolError(
                    f"version {number} of {name} in the replay's registry",
                    "none",
                    f"delete {self.settings.state}, and the replay begins anew",
                )
            self._versions[number] = found
        return self._versions[number]

    def _first(self, day: date) -> registry.Version:
        """The first champion; there already where a kill came after it.

        To judge again would be to judge a winner that was refused beside the baseline that took its place.
        """
        dataset = self.config.dataset.name
        champion.settle(self.settings, dataset)
        found = registry.by_alias(self.settings.tracking_uri, registry.model_name(dataset), champion.CHAMPION)
        if found is not None:
            return found
        run, _ = train.train(self.settings, self.config, self.data.until(day), self.pool)
        return self.version(promote.promote(self.settings, dataset, run.run_id).version)

    def _trial(self, day: date, before: Standing) -> retrain.Trial | None:
        rule = self.config.monitoring.retrain
        if before.previous is None or not rule.least <= (day - before.since).days <= rule.trial:
            return None
        both = self.version(before.champion), self.version(before.previous)
        given = self.settings, self.config.dataset, self.data.until(day)
        return trial.trial(*given, before.since, both, self.stretches.rows)

    def _rolled_back(self, day: date, reason: str, before: Standing) -> tuple[Event, dict[str, Any]]:
        """Go back to the champion before; done already where a kill came after it."""
        dataset, back = self.config.dataset, self.version(str(before.previous))
        moves = champion.moves(self.settings, dataset.name)
        now = registry.by_alias(self.settings.tracking_uri, back.name, champion.CHAMPION)
        if now is None or not now.number == moves["to_version"].iloc[-1] == back.number:
            data = self.data.until(day)
            rollback.rollback(self.settings, dataset, back.number, reason, dry_run=False, data=data)
        model = back.tags["daycast.model"]
        event = Event(day=day, kind="rollback", reason=reason, version=back.number, model=model)
        trained = pd.Timestamp(back.tags[DATA_UNTIL]).date()
        changes = {"champion": back.number, "model": model, "champion_trained": trained, "previous": None}
        return event, {**changes, "since": day, **_refused(before)}

    def _trained(self, day: date, why: str, before: Standing) -> tuple[Event, dict[str, Any]]:
        """Train as of a day, and let the gate decide; the same again where a kill came in between."""
        name = self.config.dataset.name
        run, _ = train.train(self.settings, self.config, self.data.until(day), self.pool)
        found = promote.judged(self.settings, name, run.run_id)
        told = {"version": found.version.version, "model": found.version.model, "trained": why}
        try:
            promote.obey(self.settings, name, run.run_id, found, None)
        except PromotionError:
            if found.may:
                raise
            reason = "; ".join(f"{c.name}: {c.reason}" for c in found.checks if not c.passed)
            event = Event(day=day, kind="refusal", reason=reason, **told)
            return event, {"trained": day, **_refused(before)}
        event = Event(day=day, kind="promotion", reason=found.decision.reasons[-1], **told)
        changes = {"champion": found.version.version, "model": found.version.model, "champion_trained": day}
        return event, {
            **changes,
            "previous": before.champion,
            "since": day,
            "trained": day,
            "refused": 0,
            "refused_since": 0,
        }


def _refused(before: Standing) -> dict[str, int]:
    return {"refused": before.refused + 1, "refused_since": before.refused_since + 1}
