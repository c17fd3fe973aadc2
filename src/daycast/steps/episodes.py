"""Which alarms people are to be told of, and in what words: once when it begins, now and then, and when it is over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from daycast.adapters import store
from daycast.adapters.notices import Notice
from daycast.adapters.store import Episode
from daycast.config import Config
from daycast.core import alarms
from daycast.settings import Settings
from daycast.steps.outcomes import MonitoredRef

TITLES = {
    "forecasts": ("alarm on forecasts of {dataset}", "no alarm on forecasts of {dataset} any more"),
    "data": ("data of {dataset} are late or missing", "no alarm on data of {dataset} any more"),
}


def follow(settings: Settings, config: Config, found: MonitoredRef, day: date) -> tuple[Episode, ...]:
    """Write down what was seen on a day, and return what people have to be told by now.

    An episode is told again until ``told`` says that it was.

    Raises:
        ToolError: the store can't be read or written.
    """
    rule = config.monitoring
    seen = {topic: [one.model_dump(mode="json") for one in alarms.raised(found.alarms, topic)] for topic in TITLES}
    with store.opened(settings.store_url) as engine:
        store.follow_alarms(engine, found.dataset, day, seen, timedelta(days=rule.calm_days))
        return tuple(store.untold(engine, found.dataset, day, timedelta(days=rule.remind_days)))


def told(settings: Settings, episode: Episode, day: date) -> None:
    """Write down that people were told of it."""
    with store.opened(settings.store_url) as engine:
        store.mark_told(engine, episode, day)


def causes(episode: Episode) -> list[str]:
    """What its alarms said last, in words."""
    return [f"{one['name']}: {one['cause']}" for one in episode.seen]


def notice(dataset: str, episode: Episode, link: str | None, training: str) -> Notice:
    """What to tell of an episode: the causes with their figures, the series, the link and what to run.

    Args:
        training: the command that trains again.
    """
    begins, ends = (title.format(dataset=dataset) for title in TITLES[episode.topic])
    said = causes(episode)
    series: Sequence[str] = tuple(dict.fromkeys(name for one in episode.seen for name in one["series"]))
    if episode.event == "ended":
        said = [f"no alarm since {episode.last}; it had begun on {episode.began}, and said last:", *said]
        return Notice(f"daycast: {ends}", "\n".join(said), link, f"daycast monitor dataset={dataset}")
    since = "" if episode.event == "began" else f" still, since {episode.began}"
    command = training if episode.topic == "forecasts" else f"daycast ingest dataset={dataset}"
    return Notice(f"daycast: {begins}{since}", "\n".join(said), link, command, tuple(series))
