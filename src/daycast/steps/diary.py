"""What a replay has done, day by day: a line each, on disk before the next day begins; a torn last line never was."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

Kind = Literal["alarm", "promotion", "refusal", "rollback"]


class Event(BaseModel):
    """Something that happened to the pipeline on a day.

    Attributes:
        version, model: the challenger's, or what was gone back to.
        trained: why a training was made; ``None`` where there was none.
    """

    model_config = ConfigDict(frozen=True)
    day: date
    kind: Kind
    reason: str
    version: str | None = None
    model: str | None = None
    trained: str | None = None


class Standing(BaseModel):
    """How things stand at the end of a day: all that the next one needs to know.

    Attributes:
        champion: number of the version that forecasts from the next day on; ``model``: what it is.
        champion_trained: the day that its training could see up to.
        previous: the champion before, which a failed trial goes back to; ``None`` after a rollback.
        since: day since when the champion is one.
        trained: the day of the newest training.
        refused: challengers in a row that were refused or rolled back.
        alarmed: the newest day with an alarm.
        refused_since: as ``refused``, since the alarm's episode began.
    """

    model_config = ConfigDict(frozen=True)
    champion: str
    model: str
    champion_trained: date
    previous: str | None
    since: date
    trained: date
    refused: int
    alarmed: date | None
    refused_since: int


class Day(BaseModel):
    """A day that is over.

    Attributes:
        forecast_by: number of the version that forecast in the morning; ``None`` on the day before the first.
        decision: what the rule said, and why.
    """

    model_config = ConfigDict(frozen=True)
    day: date
    forecast_by: str | None
    decision: str
    events: tuple[Event, ...]
    standing: Standing


def read(file: Path) -> list[Day]:
    """The days that are over, oldest first."""
    if not file.is_file():
        return []
    whole = file.read_text(encoding="utf-8").split("\n")[:-1]  # what has no line's end was being written
    return [Day.model_validate_json(line) for line in whole]


def append(file: Path, day: Day) -> None:
    """Write a day down, for good."""
    with file.open("r+b" if file.exists() else "x+b") as out:
        kept = out.read()
        out.seek(kept.rfind(b"\n") + 1)  # over what a kill has torn
        out.truncate()
        out.write(day.model_dump_json().encode() + b"\n")
        out.flush()
        os.fsync(out.fileno())
