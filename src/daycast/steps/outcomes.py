"""What flows come to; references as in ``steps.reference``."""

from __future__ import annotations

from daycast.steps.reference import BoardRef, DataRef, Reference, RunRef, TunedRef, VersionRef


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


class ForecastRef(Reference):
    """Forecast rows in the store.

    Attributes:
        served_by: the version that made them.
        role: which rank of the fallback chain that is, see ``steps.chain``.
        reasons: why the ranks before did not, and why the data are not newer; empty where the champion forecast from
            the newest data.
        new_rows: how many were not there before.
        rows: CSV of the rows; ``plot``: their picture.
    """

    dataset: str
    cutoff: str
    horizon: int
    served_by: VersionRef
    role: str
    reasons: tuple[str, ...] = ()
    n_rows: int
    new_rows: int
    rows: str
    plot: str


class Outcome(Reference):
    """What a training flow came to, as far as it went."""

    data: DataRef
    run: RunRef
    tuned: tuple[TunedRef, ...] = ()
    board: BoardRef | None = None
    champion: VersionRef | None = None
    forecast: ForecastRef | None = None
