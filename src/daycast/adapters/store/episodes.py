"""Episodes of alarms: from the day an alarm is raised to the day it is over, and whether people were told of both.

So an alarm that goes on is not told every day, and one that could not be told is told by the next attempt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Engine, and_, insert, or_, select, update

from daycast.adapters.store.locking import lock
from daycast.adapters.store.tables import alarm_episodes as episodes

Event = Literal["began", "goes on", "ended"]
SLIP = timedelta(days=2)  # that a sound clock, of another machine or zone, may be behind


@dataclass(frozen=True)
class Episode:
    """What people are to be told.

    Attributes:
        id: its number.
        topic: what its alarms are about.
        event: what is new of it.
        began: its first day; ``last``: the newest day with an alarm.
        seen: the alarms as they were seen last, JSON-able.
    """

    id: int
    topic: str
    event: Event
    began: date
    last: date
    seen: list[dict[str, Any]]


def follow_alarms(
    engine: Engine, dataset: str, day: date, seen: Mapping[str, Sequence[Mapping[str, Any]]], calm: timedelta
) -> None:
    """Begin, keep up and end the episodes of a dataset by what is seen on a day; doing it again changes nothing.

    A day or two before the newest one that an episode knows of changes nothing either. One before that means
    that a clock which ran ahead wrote to it: its dates are brought back to the day, and people are told of an alarm.

    Args:
        seen: topic -> its alarms that are raised, JSON-able; none where all is well.
        calm: how long no alarm must have been raised for an episode to be over.
    """
    own = episodes.c
    with engine.connect() as connection:
        lock(connection, f"daycast alarms of {dataset}")
        for topic, alarms in seen.items():
            newest = _newest(connection, dataset, topic)
            if newest is not None and (newest.ended or newest.last) - day > SLIP:
                _bring_back(connection, newest, day, raised=bool(alarms))
                newest = _newest(connection, dataset, topic)
            going = newest is not None and newest.ended is None
            told = [dict(alarm) for alarm in alarms]
            if newest is not None and day < newest.last:
                continue
            if told and newest is not None and (going or day <= newest.ended):
                values = {"last": day, "seen": told, "ended": None, "end_told_on": None}
                connection.execute(update(episodes).where(own.id == newest.id).values(values))
            elif told:
                values = {"dataset": dataset, "topic": topic, "began": day, "last": day, "seen": told}
                connection.execute(insert(episodes).values(values))
            elif going and newest is not None and day - newest.last >= calm:
                connection.execute(update(episodes).where(own.id == newest.id).values(ended=day))
        connection.commit()


def going_on(engine: Engine, dataset: str, topic: str) -> Episode | None:
    """A topic's episode that is not over; ``None`` without one."""
    own = episodes.c
    query = select(episodes).where(own.dataset == dataset, own.topic == topic, own.ended.is_(None))
    with engine.connect() as connection:
        row = connection.execute(query.order_by(own.id.desc()).limit(1)).one_or_none()
    return None if row is None else _episode(row)


def untold(engine: Engine, dataset: str, day: date, remind: timedelta) -> Sequence[Episode]:
    """What people have to be told of on a day: alarms that began, go on for ``remind`` since, or ended."""
    own = episodes.c
    again = and_(own.told_on <= day - remind, own.last == day)
    due = or_(own.told_on.is_(None), again, own.ended.is_not(None))
    query = select(episodes).where(own.dataset == dataset, due, own.end_told_on.is_(None)).order_by(own.id)
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    return tuple(_episode(row) for row in rows)


def mark_told(engine: Engine, episode: Episode, day: date) -> None:
    """Write down that people were told."""
    column = "end_told_on" if episode.event == "ended" else "told_on"
    with engine.begin() as connection:
        connection.execute(update(episodes).where(episodes.c.id == episode.id).values({column: day}))


def _newest(connection: Connection, dataset: str, topic: str) -> Any:
    """The episode that was begun last; not by its date, which a wrong clock may have written."""
    query = select(episodes).where(episodes.c.dataset == dataset, episodes.c.topic == topic)
    return connection.execute(query.order_by(episodes.c.id.desc()).limit(1)).one_or_none()


def _bring_back(connection: Connection, episode: Any, day: date, raised: bool) -> None:
    """Let none of an episode's dates lie after a day; if an alarm is raised on it, people are to be told of that."""
    own = episodes.c
    same = (own.dataset == episode.dataset, own.topic == episode.topic, own.began == day)
    taken = connection.execute(select(own.id).where(*same)).first() is not None  # two can't have begun on one day
    values = {
        "began": episode.began if taken else min(episode.began, day),
        "last": min(episode.last, day),
        "ended": None if episode.ended is None else min(episode.ended, day),
    }
    if episode.told_on is not None and episode.told_on > day:
        values["told_on"] = None if raised else day
    connection.execute(update(episodes).where(own.id == episode.id).values(values))


def _episode(row: Any) -> Episode:
    return Episode(row.id, row.topic, _event(row), row.began, row.last, row.seen)


def _event(row: Any) -> Event:
    if row.ended is not None:
        return "ended"
    return "began" if row.told_on is None else "goes on"
