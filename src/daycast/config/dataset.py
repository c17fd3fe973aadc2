"""The ``dataset`` group: everything that shapes data, and so also a DVC parameter."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import pandas as pd
from pydantic import Field, field_validator, model_validator

from daycast.config.calendar import Calendar
from daycast.config.section import Section
from daycast.core import events, regimes
from daycast.core.frame import FrameSpec
from daycast.core.layout import CALENDAR_COLUMNS, EVENT, REGIME, Layout


class SimulatedSource(Section):
    """The embedded sample: simulated, never real."""

    kind: Literal["simulated"] = Field(description="kind of source")
    seed: int = Field(ge=0, description="seed of the random draws")
    start: str = Field(pattern=r"^\d{4}-\d\d-\d\d$", description="first simulated day, ISO date")
    years: int = Field(ge=1, le=50, description="length, years")


class FileSource(Section):
    """A file on this machine."""

    kind: Literal["file"] = Field(description="kind of source")
    path: str = Field(description="file, relative to the project folder or absolute")


class UrlSource(Section):
    """An HTTP(S) address."""

    kind: Literal["url"] = Field(description="kind of source")
    url: str = Field(pattern=r"^https?://", description="address of the file")
    timeout_s: float = Field(gt=0, description="longest wait for a connection or the next bytes, seconds")
    retries: int = Field(ge=0, le=10, description="further attempts after a failed one")
    backoff_s: float = Field(ge=0, description="wait before the first further attempt, seconds; doubles each time")
    max_mib: float = Field(gt=0, description="largest file accepted, MiB")


class Read(Section):
    """How to read the file into rows."""

    format: Literal["csv", "csv.gz", "parquet"] = Field(description="file format")
    time: str = Field(description="column of the timestamps")
    time_format: str | None = Field(description="strptime format of the timestamps; null for typed or ISO dates")
    series: dict[str, str] | None = Field(description="wide files: series name -> its column; null for long files")
    id: str | None = Field(description="long files: column that names the series; null for wide files")
    value: str | None = Field(description="long files: column of the values; null for wide files")

    @model_validator(mode="after")
    def _wide_or_long(self) -> Read:
        wide, long = self.series is not None, self.id is not None and self.value is not None
        if wide == long or (wide and (self.id or self.value)):
            raise ValueError("give either `series` (a wide file) or both `id` and `value` (a long file)")
        return self


class Column(Section):
    """What a column of the raw file must hold."""

    type: Literal["int", "float", "str", "date"] = Field(description="type of the values")
    nullable: bool = Field(default=False, description="whether missing values are allowed")
    min: float | None = Field(default=None, description="least value allowed, units of the column")
    max: float | None = Field(default=None, description="greatest value allowed, units of the column")
    allowed: tuple[str, ...] | None = Field(default=None, description="the only values allowed (strings)")


class Identity(Section):
    """Columns that must add up on every row."""

    sum: tuple[str, ...] = Field(min_length=1, description="columns that are added")
    equals: str = Field(description="column that holds their sum")


class Contract(Section):
    """What a batch must fulfil to be used; checked by Great Expectations."""

    columns: dict[str, Column] = Field(min_length=1, description="column -> what it must hold")
    identities: tuple[Identity, ...] = Field(default=(), description="sums that must hold on every row")
    gaps: Literal["error", "missing"] = Field(
        description="timestamps without a row inside a series: an error, or kept as missing values"
    )
    day_type: str | None = Field(
        default=None, description="column of service day types W/A/U that must fit the calendar"
    )
    max_age_days: int | None = Field(
        default=None, ge=0, description="largest age of the newest row at as_of, days; null: not checked"
    )
    flag_below: float | None = Field(
        default=None, gt=0, lt=1, description="flag (never drop) values below this share of their series' median"
    )


class Covariates(Section):
    """Which columns of the canonical frame models may use, beside y."""

    known: dict[str, tuple[str, ...] | None] = Field(
        description="calendar columns known ahead, equal for all series: column -> its levels (text) or null (numeric)"
    )
    past: tuple[str, ...] = Field(
        description="numeric columns known up to the cutoff only, seen by networks without a profile alone"
    )
    static: dict[str, tuple[str, ...] | None] = Field(description="constant per series: column -> its levels or null")


class Dataset(Section):
    """One dataset: where it comes from, what it must fulfil, what its columns mean."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="name, as in conf/dataset/<name>.yaml")
    title: str = Field(description="what it is, for people")
    simulated: bool = Field(description="whether the values are simulated, not observed")
    unit: str = Field(description="unit of y, such as rides per day")
    source: Annotated[SimulatedSource | FileSource | UrlSource, Field(discriminator="kind")] = Field(
        description="where the bytes come from"
    )
    read: Read = Field(description="how to read the file")
    freq: str = Field(description="pandas offset of the regular grid, such as D")
    timezone: str = Field(description="IANA name of the zone whose days these are; schedules follow its clock")
    season_length: int = Field(ge=1, description="timestamps per season; the season of MASE")
    floor: float | None = Field(description="least value that can exist, unit of y; null for none")
    contract: Contract = Field(description="what a batch must fulfil")
    calendar: Calendar = Field(description="covariates computed from the date")
    covariates: Covariates = Field(description="what models may use")

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:  # an unknown name, one out of bounds, a folder
            raise ValueError(f"`{name}` is no IANA time zone, such as America/Chicago or UTC") from error
        return name

    @model_validator(mode="after")
    def _columns_are_declared(self) -> Dataset:
        read = self.read
        used = [read.time, *(read.series or {}).values(), *(c for c in (read.id, read.value) if c)]
        used += [*self.covariates.past, *self.covariates.static]
        used += [self.contract.day_type] if self.contract.day_type else []
        used += [c for i in self.contract.identities for c in (*i.sum, i.equals)]
        declared = self.contract.columns
        columns = [c for c in CALENDAR_COLUMNS if c not in (EVENT, REGIME)]  # these follow from `calendar`
        faults = [f"column `{c}` is used but not declared in contract.columns" for c in used if c not in declared]
        if (self.covariates.past or self.covariates.static) and read.series is not None:
            faults.append("covariates.past and .static need a long file: a wide one has no column per series")
        faults += [
            f"covariates.known: `{c}` is not one of the columns known ahead: {', '.join(columns)}"
            for c in self.covariates.known
            if c not in columns
        ]
        if faults:
            raise ValueError("\n".join(dict.fromkeys(faults)))
        return self

    def today(self, now: datetime | None = None) -> date:
        """The day that it is where the data are from, whatever clock this machine keeps.

        Args:
            now: an aware point in time; the present if not given.
        """
        zone = ZoneInfo(self.timezone)
        return (datetime.now(zone) if now is None else now.astimezone(zone)).date()

    def latest(self, now: datetime | None = None) -> pd.Timestamp:
        """The newest timestamp that can have been observed by now: of days and longer steps, all of today."""
        zone = ZoneInfo(self.timezone)
        here = pd.Timestamp(datetime.now(zone) if now is None else now.astimezone(zone)).tz_localize(None)
        begin, day = here.normalize(), pd.Timedelta(days=1)
        step = pd.tseries.frequencies.to_offset(self.freq)
        return here.floor("s") if begin + step < begin + day else begin + day - pd.Timedelta(seconds=1)

    def layout(self) -> Layout:
        """How ``core.canonical`` turns raw rows into the canonical frame."""
        return Layout(
            freq=self.freq,
            time=self.read.time,
            time_format=self.read.time_format,
            series=self.read.series,
            id=self.read.id,
            value=self.read.value,
            day_type=self.contract.day_type,
            country=self.calendar.country,
            subdivision=self.calendar.subdivision,
            sunday_service=self.calendar.sunday_service,
            events=self.calendar.rules(),
            regimes=self.calendar.periods(),
            future_steps=self.calendar.future_steps,
            past=self.covariates.past,
            static=self.covariates.static,
        )

    def spec(self) -> FrameSpec:
        """The meaning of the canonical frame's columns."""
        follow: dict[str, tuple[str, ...] | None] = {}
        if self.calendar.events:
            follow[EVENT] = events.levels(self.calendar.rules())
        if self.calendar.regimes:
            follow[REGIME] = regimes.levels(self.calendar.periods())
        return FrameSpec(
            freq=self.freq,
            season_length=self.season_length,
            known={**self.covariates.known, **follow},
            held=(REGIME,) if self.calendar.regimes else (),
            past=self.covariates.past,
            static=self.covariates.static,
            fourier=self.calendar.fourier,
            floor=self.floor,
        )
