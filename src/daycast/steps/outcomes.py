"""What flows come to; references as in ``steps.reference``."""

from __future__ import annotations

from daycast.steps.reference import BoardRef, DataRef, Reference, RunRef, TunedRef, VersionRef


class AlarmRef(Reference):
    """What one alarm says, as ``core.alarms.Alarm``."""

    name: str
    raised: bool
    figure: float | None
    threshold: float | None
    cause: str
    series: tuple[str, ...] = ()


class Unlogged(Reference):
    """Why MLflow did not take what was found, as ``errors.DaycastError`` has it."""

    expected: str
    found: str
    fix: str


class MonitoredRef(Reference):
    """How the forecasts in the store turned out.

    Attributes:
        until: the newest observation.
        n_rows: forecast rows whose values have come; ``n_windows`` cutoffs they are of. Of them ``n_new`` were given
            their error now, and ``n_revised`` anew, as the source revised their values.
        mae, skill, bias, coverage_80, coverage_95: over the newest target days, raw units, against the seasonal naive,
            shares; ``None`` if there are none.
        alarm: whether any alarm is raised; ``reason``: of those that are, else of all, in figures.
        windows: CSV of the ledger by cutoff; ``steps``: by horizon step, of the newest target days; ``ledger``: Parquet
            of all of it by cutoff, horizon step and model.
        plot: picture of skill, coverage and bias over time; ``steps_plot``: of the error by horizon step.
        run_id: the run in MLflow that holds all this; ``None`` as of a past day, which is only looked at.
        link: its address in a server's UI.
        unlogged: why there is no such run though there should be.
    """

    dataset: str
    until: str
    n_rows: int
    n_windows: int
    n_new: int
    n_revised: int
    mae: float | None
    skill: float | None
    bias: float | None
    coverage_80: float | None
    coverage_95: float | None
    alarm: bool
    reason: str
    alarms: tuple[AlarmRef, ...]
    windows: str
    steps: str
    ledger: str
    plot: str | None
    steps_plot: str | None
    run_id: str | None = None
    link: str | None = None
    unlogged: Unlogged | None = None


class AlarmsRef(Reference):
    """The alarms that there would have been.

    Attributes:
        first, last: days of the range, ISO.
        days: CSV of every alarm on every day; ``episodes``: CSV of the stretches in which they are one matter.
        plot: their picture.
    """

    dataset: str
    first: str
    last: str
    days: str
    episodes: str
    plot: str


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
