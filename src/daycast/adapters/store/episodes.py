"""Episodes of alarms: from the day an alarm is raised to the day it is over, and whether people were told of both.

So an alarm that goes on is not told every day, and one that could not be told is told by the next attempt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from sqlalchemy import Engine, insert, or_, select, update

from daycast.adapters.store.locking import lock
from daycast.adapters.store.tables import alarm_episodes as episodes

Event = Literal["began", "goes on", "ended"]


@dataclass(frozen=True)
class Episode:
    """What people are to be told of an alarm.

    Attributes:
        id: its number; ``alarm``: its name.
        event: what is new of it.
        began: its first day; ``ended``: the day it was over, ``None`` while it goes on.
        seen: the alarm as it was seen last, JSON-able.
    """

    id: int
    alarm: str
    event: Event
    began: date
    ended: date | None
    seen: dict[str, Any]


def follow_alarms(engine: Engine, dataset: str, day: date, seen: Mapping[str, Mapping[str, Any] | None]) -> None:
    """Begin, keep up and end the episodes of a dataset by what is seen on a day; doing it again changes nothing.

    Args:
        seen: name -> the alarm as JSON-able values where it is raised, ``None`` where it is not. Episodes of names that
            are left out stay as they are.
    """
    with engine.connect() as connection:
        lock(connection, f"daycast alarms of {dataset}")
        query = select(episodes).where(episodes.c.dataset == dataset, episodes.c.ended.is_(None))
        open_ones = {row.alarm: row for row in connection.execute(query)}
        for name, alarm in seen.items():
            going = open_ones.get(name)
            if alarm is None and going is not None:
                connection.execute(update(episodes).where(episodes.c.id == going.id).values(ended=day))
            elif alarm is not None and going is not None:
                connection.execute(update(episodes).where(episodes.c.id == going.id).values(seen=dict(alarm)))
            elif alarm is not None:
                again = update(episodes).values(ended=None, end_told_on=None, seen=dict(alarm))
                own = (episodes.c.dataset == dataset, episodes.c.alarm == name, episodes.c.began == day)
                if not connection.execute(again.where(*own)).rowcount:  # over and back on one day is one episode
                    told = {"dataset": dataset, "alarm": name, "began": day, "seen": dict(alarm)}
                    connection.execute(insert(episodes).values(told))
        connection.commit()


def untold(engine: Engine, dataset: str, day: date, remind: timedelta) -> Sequence[Episode]:
    """What people have to be told of on a day: alarms that began, go on for ``remind`` since, or ended."""
    own = episodes.c
    due = or_(own.told_on.is_(None), own.told_on <= day - remind, own.ended.is_not(None))
    query = select(episodes).where(own.dataset == dataset, due, own.end_told_on.is_(None)).order_by(own.id)
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    return tuple(Episode(row.id, row.alarm, _event(row), row.began, row.ended, row.seen) for row in rows)


def mark_told(engine: Engine, episode: Episode, day: date) -> None:
    """Write down that people were told."""
    column = "end_told_on" if episode.event == "ended" else "told_on"
    with engine.begin() as connection:
        connection.execute(update(episodes).where(episodes.c.id == episode.id).values({column: day}))


def _event(row: Any) -> Event:
    if row.ended is not None:
        return "ended"
    return "began" if row.told_on is None else "goes on"
