"""What steps hand to each other: names of results, never the results.

A reference is small, frozen and JSON-able, so a task can run on another machine, be cached, and be retried for free.
The result behind a ``key`` lies in ``settings.cache(step, key)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any, ClassVar

import pandas as pd
from pydantic import BaseModel, ConfigDict

from daycast.core.lineage import Lineage
from daycast.core.split import Fold


class Reference(BaseModel):
    """Base of all references.

    Attributes:
        step: whose cache holds the files behind the reference's ``key``; ``None`` where there are none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    step: ClassVar[str | None] = None


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

    @property
    def day(self) -> date | None:
        """``as_of`` as a date."""
        return None if self.as_of is None else date.fromisoformat(self.as_of)

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
    """The folds of a run.

    Attributes:
        n_series: of the data, to tell how a model's work can be divided.
    """

    validation: tuple[FoldRef, ...]
    test: FoldRef
    n_series: int

    def named(self, name: str) -> FoldRef:
        """The fold of that name."""
        return next(fold for fold in (*self.validation, self.test) if fold.name == name)


class TransformRef(Reference):
    """Differenced and scaled series, a folder per fold; no parts for a model that takes the history as it is."""

    model: str
    parts: tuple[str, ...]


class WindowsRef(Reference):
    """The valid window starts over a transform's arrays, a file per fold and lookback."""

    model: str
    parts: tuple[str, ...]


class StudyRef(Reference):
    """A search that has begun: the name of its study in Optuna's storage, which its workers share."""

    model: str
    study: str


class FoundRef(Reference):
    """A finished search: the best parameters; see ``TunedRef``."""

    step: ClassVar[str | None] = "search"
    model: str
    key: str
    study: str | None
    trial: int
    parameters: dict[str, Any]
    n_trials: int
    n_pruned: int


class Piece(Reference):
    """A part of the fits of one model: one fold, and of it one network of several or some of the series.

    Attributes:
        fold: its name.
        network: which of the networks that are averaged, from 0.
        first, last: the series' places in the data, the last not included; ``None`` for all series.
    """

    fold: str
    network: int = 0
    first: int | None = None
    last: int | None = None

    def __str__(self) -> str:
        some = "" if self.first is None else f" series {self.first + 1}-{self.last}"
        return f"{self.fold}{some}{f' network {self.network + 1}' if self.network else ''}"


class PartRef(Reference):
    """A piece that was fitted: its forecaster, and its forecasts where it has the whole of each series' model."""

    step: ClassVar[str | None] = "part"
    model: str
    key: str
    piece: Piece


class TunedRef(Reference):
    """The best parameters that a search found, and their validation score.

    Attributes:
        study: name of the study in Optuna's storage, or ``None`` where nothing was searched.
        trial: number of the chosen one, from 0.
        value: mean over the validation folds of the backtest's metric.
    """

    step: ClassVar[str | None] = "tune"
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

    step: ClassVar[str | None] = "fit"
    model: str
    key: str
    fit_cutoff: str


class BacktestRef(Reference):
    """A model's forecasts of the test fold, with what came."""

    step: ClassVar[str | None] = "backtest"
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
    """A version of the dataset's registered model.

    Attributes:
        in_force: whether it became champion; not if it was trained as of a day that the champion has seen beyond.
    """

    name: str
    version: str
    model: str
    in_force: bool = True


def files(values: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Steps and keys of all files behind the references among ``values``, those in lists of them too."""
    for value in values:
        if isinstance(value, Reference) and value.step is not None:
            yield value.step, value.key
        elif isinstance(value, (list, tuple)):
            yield from files(value)
