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


class Outcome(Reference):
    """What a training flow came to, as far as it went."""

    data: DataRef
    run: RunRef
    tuned: tuple[TunedRef, ...] = ()
    board: BoardRef | None = None
    champion: VersionRef | None = None
    forecast: ForecastRef | None = None


class ReplayPlan(Reference):
    """What a replay would do.

    Attributes:
        folder: where its state and results lie.
        n_days: days with an observation in the range, ``n_done`` of them over.
        first_training: the day before the first one, ISO, as of which the first champion is trained.
        most_trainings, least_trainings: as the rule allows and, without any alarm, asks for.
    """

    dataset: str
    folder: str
    first: str
    last: str
    n_days: int
    n_done: int
    first_training: str
    models: tuple[str, ...]
    most_trainings: int
    least_trainings: int


class ReplayedRef(Reference):
    """What a replayed life came to; mean absolute errors over all rows whose days have come, raw units.

    Attributes:
        n_days: that were lived; ``n_rows`` forecast rows judged, the same ones of all three.
        living: the pipeline's error; ``frozen``: the first champion's, never trained again; ``naive``: the seasonal
            naive's.
        skill_frozen, skill_naive: of the living pipeline against both.
        n_alarms, n_trainings, n_promotions, n_refusals, n_rollbacks: how often; the first training counts.
        report: Markdown; ``picture``: PNG; ``events``, ``rows``: CSV.
    """

    dataset: str
    first: str
    last: str
    n_days: int
    n_rows: int
    living: float
    frozen: float
    naive: float
    skill_frozen: float
    skill_naive: float
    n_alarms: int
    n_trainings: int
    n_promotions: int
    n_refusals: int
    n_rollbacks: int
    report: str
    picture: str
    events: str
    rows: str
