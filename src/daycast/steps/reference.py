"""What steps hand to each other: names of results, never the results.

A reference is small, frozen and JSON-able, so a task can run on another machine, be cached, and be retried for free.
The result behind a ``key`` lies in ``settings.cache(step, key)``.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict

from daycast.core.lineage import Lineage
from daycast.core.split import Fold


class Reference(BaseModel):
    """Base of all references."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DataRef(Reference):
    """A version of a dataset's canonical frame.

    Attributes:
        dataset: its name.
        version: MD5 of the canonical Parquet file, as DVC records it.
        pointers: path -> text of the DVC files that bring every byte of this version back.
        as_of: last date, ISO, whose observations may be seen; ``None`` for all there are.
    """

    dataset: str
    version: str
    pointers: dict[str, str]
    as_of: str | None = None

    def until(self, as_of: date | None) -> DataRef:
        """This version as it stood at the end of a day; itself for ``None``."""
        return self if as_of is None else self.model_copy(update={"as_of": as_of.isoformat()})


class FoldRef(Reference):
    """A fold of ``core.split``, dates as ISO text."""

    name: str
    start: str | None
    fit_cutoff: str
    cutoffs: tuple[str, ...]
    horizon: int

    @classmethod
    def of(cls, fold: Fold) -> FoldRef:
        """The reference of a fold."""
        return cls(
            name=fold.name,
            start=None if fold.start is None else fold.start.isoformat(),
            fit_cutoff=fold.fit_cutoff.isoformat(),
            cutoffs=tuple(c.isoformat() for c in fold.cutoffs),
            horizon=fold.horizon,
        )

    def fold(self) -> Fold:
        """The fold itself."""
        return Fold(
            self.name,
            None if self.start is None else pd.Timestamp(self.start),
            pd.Timestamp(self.fit_cutoff),
            pd.DatetimeIndex(self.cutoffs),
            self.horizon,
        )


class FoldsRef(Reference):
    """The folds of a run."""

    validation: tuple[FoldRef, ...]
    test: FoldRef


class TransformRef(Reference):
    """Differenced and scaled series, a folder per fold; no parts for a model that takes the history as it is."""

    model: str
    parts: tuple[str, ...]


class WindowsRef(Reference):
    """The valid window starts over a transform's arrays, a file per fold and lookback."""

    model: str
    parts: tuple[str, ...]


class TunedRef(Reference):
    """A finished search: the best parameters and their validation score.

    Attributes:
        study: name of the study in Optuna's storage, or ``None`` where nothing was searched.
        trial: number of the chosen one, from 0.
        value: mean over the validation folds of the backtest's metric.
    """

    model: str
    key: str
    study: str | None
    trial: int
    parameters: dict[str, Any]
    value: float
    n_trials: int
    n_pruned: int


class FittedRef(Reference):
    """A fitted model, saved as JSON and safetensors."""

    model: str
    key: str
    fit_cutoff: str


class BacktestRef(Reference):
    """A model's forecasts of the test fold, with what came."""

    model: str
    key: str


class BoardRef(Reference):
    """A leaderboard and the decision on it."""

    key: str
    winner: str


class RunRef(Reference):
    """A pipeline run in MLflow, and the lineage of all that it makes."""

    run_id: str
    data_version: str
    git_commit: str
    config_hash: str

    @property
    def lineage(self) -> Lineage:
        """As the core's value."""
        return Lineage(self.data_version, self.git_commit, self.config_hash, self.run_id)


class VersionRef(Reference):
    """A version of the dataset's registered model."""

    name: str
    version: str
    model: str


class ForecastRef(Reference):
    """Forecast rows in the store.

    Attributes:
        new_rows: how many were not there before.
        rows: CSV of the rows; ``plot``: their picture.
    """

    dataset: str
    cutoff: str
    horizon: int
    champion: VersionRef
    n_rows: int
    new_rows: int
    rows: str
    plot: str


class MonitoredRef(Reference):
    """How the forecasts in the store turned out.

    Attributes:
        until: the newest observation.
        n_rows: forecast rows whose values have come; ``n_windows`` cutoffs they are of.
        mae, skill: mean over the newest windows, raw units, and against the seasonal naive; ``None`` if there are none.
        windows: CSV of all windows; ``plot``: their picture.
    """

    dataset: str
    until: str
    n_rows: int
    n_windows: int
    mae: float | None
    skill: float | None
    alarm: bool
    reason: str
    windows: str
    plot: str | None


class Planned(Reference):
    """A past day to forecast from.

    Attributes:
        as_of: the day, ISO; ``cutoff``: the newest observation by its end.
        version: number of the version that may forecast it, which has seen nothing later; ``None`` if there is none.
        done: whether its rows are in the store already.
    """

    as_of: str
    cutoff: str
    version: str | None
    done: bool


class BackfilledRef(Reference):
    """What a backfill came to.

    Attributes:
        n_days: with an observation, in the range; ``n_made`` of them now, ``n_done_before`` earlier.
        impossible: days, ISO, that every version has seen beyond, so none may forecast.
    """

    dataset: str
    n_days: int
    n_made: int
    n_done_before: int
    impossible: tuple[str, ...]
    new_rows: int


class Outcome(Reference):
    """What a training flow came to, as far as it went."""

    data: DataRef
    run: RunRef
    tuned: tuple[TunedRef, ...] = ()
    board: BoardRef | None = None
    champion: VersionRef | None = None
    forecast: ForecastRef | None = None
