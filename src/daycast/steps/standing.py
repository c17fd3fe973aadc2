"""Which version forecasts, or did on a day, and the move that led to it."""

from __future__ import annotations

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from daycast.adapters import registry
from daycast.config import Dataset
from daycast.errors import ConfigError, PromotionError
from daycast.settings import Settings
from daycast.steps.champion import CHAMPION, RUN, moves, present
from daycast.steps.register import DATA_UNTIL


def told(settings: Settings, dataset: Dataset, day: date | None) -> dict[str, Any]:
    """The champion, at the end of a day in the dataset's time zone or now, and the move that led to it.

    Raises:
        PromotionError: there was none yet, or is none.
        ConfigError: the day has not come.
    """
    found = moves(settings, dataset.name)
    today = pd.Timestamp.now(dataset.timezone).date()
    if day is not None and day > today:
        raise ConfigError(f"a day up to {today}", str(day), "leave --on out for the champion in force")
    now = day is None or day == today
    if not now:
        found = found[found["decided_at"].dt.tz_convert(ZoneInfo(dataset.timezone)).dt.date <= day]
        if found.empty:
            fix = f"ask for a later day: `daycast history dataset={dataset.name}`"
            raise PromotionError(f"a champion of {dataset.name} on {day}", "none up to that day", fix)
        number = found["to_version"].iloc[-1]
    else:
        name = registry.model_name(dataset.name)
        number = registry.required(settings.tracking_uri, name, CHAMPION).number
    led = found[found["to_version"] == number].tail(1)
    of = registry.find(settings.tracking_uri, registry.model_name(dataset.name), number)
    facts: dict[str, Any] = {"dataset": dataset.name, "version": number}
    if of is not None and (led.empty or not present(led, [of]).empty):
        facts |= {"model": of.tags.get("daycast.model"), "run_id": of.run_id, "data_until": of.tags.get(DATA_UNTIL)}
    if of is not None and RUN not in of.tags:
        facts["note"] = "daycast did not make this version"
    if led.empty or (now and found["to_version"].iloc[-1] != number):
        note = "the alias was moved by other means: the history does not tell of it yet"
        return {**facts, "since": None, "note": "; ".join([note, *filter(None, [facts.get("note")])])}
    line = led.iloc[0]
    since = line["decided_at"].tz_convert(dataset.timezone).isoformat(timespec="seconds")
    why = {name: line[name] for name in ("kind", "actor", "reason", "from_version", "decision")}
    return {**facts, "since": since, **why}
