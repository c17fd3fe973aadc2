"""The place that logs (of alerts, ``record_alerts``): turns what steps left behind into MLflow runs, and never computes
a result itself.

One parent run per pipeline run, a child per model, a grandchild per trial. A run is found by its content key, so a
pipeline that was killed, or is run again with nothing changed, goes on in the same run and logs nothing twice.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Literal

import pandas as pd
import yaml

from daycast.adapters import report, tracking, versioning
from daycast.config import Config, Recurrent, config_hash
from daycast.core import diagnostics, metrics, split, transform
from daycast.core.lineage import Lineage
from daycast.errors import ToolError
from daycast.settings import Settings
from daycast.steps import compare, fit, intervals, judge, keys, machine, record_search, tune
from daycast.steps.data import table
from daycast.steps.forecaster import with_parameters
from daycast.steps.outcomes import Outcome
from daycast.steps.reference import BacktestRef, BoardRef, DataRef, FittedRef, FoldsRef, RunRef, TunedRef
from daycast.steps.transform import state_file

COMPARED = {"daycast.compared": "1"}  # of a run that has a leaderboard
BY_STEP = ("mae", "mase", "crps", "coverage_80", "width_80", "coverage_95", "width_95")  # as curves; the table has all
FEW = 5  # series up to which each has metrics of its own; more are a table


def tracker(settings: Settings) -> tracking.Tracking:
    """Where runs are kept: an embedded database with its artifact folder, or a server."""
    embedded = settings.tracking_uri.startswith("sqlite:")
    return tracking.Tracking(settings.tracking_uri, settings.embedded_artifacts if embedded else None)


def open_run(settings: Settings, config: Config, data: DataRef) -> RunRef:
    """The pipeline run in MLflow, opened or taken up again, and the lineage of all that it makes."""
    commit, hashed = versioning.commit(settings.root), config_hash(config)
    where = tracker(settings)
    tags = {"daycast.dataset": data.dataset, "daycast.backtest": config.backtest.name}
    tags |= Lineage(data.version, commit, hashed, "").tags()
    del tags["daycast.run_id"]
    tags |= machine.tags() | ({} if data.as_of is None else {"daycast.as_of": data.as_of})
    params = {
        "dataset": data.dataset,
        "models": ",".join(config.model),
        "backtest": config.backtest.name,
        "horizon": config.backtest.horizon,
        "tuning": config.tuning.name,
        "seed": config.seed,
    }
    name = f"{config.backtest.name}-{config.tuning.name}-{data.version[:6]}-{hashed[:4]}"
    run_id = tracking.open_run(where, data.dataset, keys.run(config, data), name, tags, params)
    tracking.use_data(where, [run_id], data.dataset, data.version, versioning.materialise(settings.root, data.version))
    return RunRef(run_id=run_id, data_version=data.version, git_commit=commit, config_hash=hashed)


def outcome(settings: Settings, config: Config, data: DataRef) -> Outcome:
    """What a run came to that another machine has made, as MLflow knows it.

    Raises:
        ToolError: there is no such run that has ended well.
    """
    found = tracking.latest(tracker(settings), data.dataset, {tracking.KEY: keys.run(config, data)})
    if found is None:
        raise ToolError(
            f"a finished run of {data.dataset} in MLflow with the key {keys.run(config, data)[:12]}",
            "none",
            "let all workers have the same code, and the same MLflow (MLFLOW_TRACKING_URI)",
        )
    lineage = {name: found.tags[f"daycast.{name}"] for name in ("data_version", "git_commit", "config_hash")}
    return Outcome(data=data, run=RunRef(run_id=found.run_id, **lineage))


def close_run(settings: Settings, run: RunRef, status: Literal["FINISHED", "FAILED", "KILLED"]) -> None:
    """End the pipeline run."""
    tracking.close_run(tracker(settings), run.run_id, status)


def run_link(settings: Settings, run: RunRef) -> str | None:
    """Address of the run in a server's UI; ``None`` without a server."""
    return tracking.link(tracker(settings), run.run_id)


def hurried(models: Collection[tracking.Run]) -> str | None:
    """Which of a run's models were cut short by their time budgets, so that no fit has to come out the same again."""
    late = sorted(model.name for model in models if model.params.get("over_budget", "0") != "0")
    told = f"{', '.join(late)}: fits went over their time budget, which depends on how fast the machine was"
    return told if late else None


def record_model(
    settings: Settings,
    config: Config,
    data: DataRef,
    folds: FoldsRef,
    run: RunRef,
    made: tuple[TunedRef, FittedRef, BacktestRef],
) -> str:
    """Log a model's search, fit and backtest as a child of the run; the id of that child."""
    tuned, fitted, tested = made
    where, name = tracker(settings), tested.model
    tags = {"daycast.model": name, "daycast.fit_cutoff": fitted.fit_cutoff, **run.lineage.tags()}
    child = tracking.child(where, run.run_id, tested.key, name, tags, {})
    figures = settings.cache("record", keys.record(run, tested.key))
    rows = compare.rows(settings, tested)
    scored = judge.scored(config, rows)
    scores = metrics.score(scored, judge.scales(config, table(settings, config, data), folds.test))
    steps = scores.by_step
    fitting = json.loads((settings.cache("fit", fitted.key) / fit.REPORT).read_text())
    pictures = _pictures(settings, config, tuned, scored, figures)
    title, file = f"{name}, backtest {config.backtest.name}: coverage", figures / "coverage_by_step.png"
    pictures[f"plots/{file.name}"] = report.coverage(steps, title, file)
    if fitting["curves"]:
        file = figures / "training_curves.png"
        pictures[f"plots/{file.name}"] = report.curves(fitting["curves"], f"{name}: training", file)
    values = dict(scores.overall) | {f"validation_{config.backtest.metric}": tuned.value}
    if 1 < len(scores.by_series) <= FEW:
        for line in scores.by_series.to_dict("records"):
            values |= {f"{line['unique_id']}.{m}": line[m] for m in ("mae", "mase") if m in line}
    tables = {"scores_by_series": scores.by_series, "scores_by_step": steps}
    if tuned.study is not None:
        values |= {"search_work": record_search.work(settings, tuned)}
        tables |= {"trials": record_search.table(settings, tuned)}
    artifacts = pictures | {"model": settings.cache("fit", fitted.key) / fit.MODEL}
    model = with_parameters(config.model[name], tuned.parameters)
    if isinstance(model, Recurrent):
        artifacts["transform.json"] = state_file(settings, config, data, folds.test, model)
    tracking.record(
        where,
        child,
        tracking.Results(
            params=model.model_dump(mode="json", exclude={"search"})
            | {f"search.{field}": value for field, value in tuned.parameters.items()}
            | fitting["facts"]
            | {"intervals_source": "head" if intervals.headed(config, name) else "point"},
            metrics=values,
            curves=fitting["curves"],
            by_step={m: dict(zip(steps["step"], steps[m], strict=True)) for m in BY_STEP if m in steps},
            artifacts=artifacts,
            tables=tables,
        ),
    )
    if tuned.study is not None:
        tracking.trials(where, child, tune.trials(settings, tuned), f"validation_{config.backtest.metric}")
    tracking.use_data(where, [child], data.dataset, data.version, versioning.materialise(settings.root, data.version))
    tracking.close_run(where, child)
    return child


def record_run(
    settings: Settings, config: Config, data: DataRef, folds: FoldsRef, run: RunRef, board: BoardRef
) -> None:
    """Log what belongs to the whole run: configuration, data pointers, validation, leaderboard, decision."""
    where = tracker(settings)
    ranked, decision = compare.read(settings, board)
    metric = config.backtest.metric
    figures = settings.cache("record", board.key)
    title = f"{data.dataset}, backtest {config.backtest.name}"
    picture = report.leaderboard(ranked, metric, decision.winner, title, figures / "leaderboard.png")
    stationarity = _stationarity(settings, config, data, folds)
    best = ranked.set_index("model").loc[decision.winner]
    tracking.record(
        where,
        run.run_id,
        tracking.Results(
            metrics={m: float(best[m]) for m in (*metrics.METRICS, "mae_low", "mae_high", "skill") if m in best},
            artifacts={
                "config.yaml": yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False),
                "decision.json": json.dumps(decision.to_json(), indent=1),
                "validation.json": _report(settings, data),
                "data_pointers.json": json.dumps(data.pointers, indent=1),
                "plots/leaderboard.png": picture,
            },
            tables={"leaderboard": ranked, "stationarity": stationarity},
            note="\n".join([f"**{decision.reasons[-1]}**", "", *(f"- {reason}" for reason in decision.reasons[:-1])]),
        ),
    )
    tracking.tag(where, run.run_id, COMPARED)


def _report(settings: Settings, data: DataRef) -> Path:
    """The report on this version of the data, whichever is in force by now."""
    md5 = versioning.files(data.pointers)[f"data/validated/{data.dataset}.json"]
    return versioning.materialise(settings.root, md5)


def _pictures(
    settings: Settings, config: Config, tuned: TunedRef, rows: pd.DataFrame, folder: Path
) -> dict[str, Path | str]:
    """Artifact path -> file of a model's figures."""
    title = f"{tuned.model}, backtest {config.backtest.name}"
    files = [
        report.forecast_against_actual(rows, title, config.dataset.unit, folder / "forecast_against_actual.png"),
        report.residual_autocorrelation(rows, f"{title}: residuals", folder / "residual_autocorrelation.png"),
    ]
    if tuned.study is not None:
        files += record_search.pictures(settings, config, tuned, folder)
    return {f"plots/{file.name}": file for file in files}


def _stationarity(settings: Settings, config: Config, data: DataRef, folds: FoldsRef) -> pd.DataFrame:
    """ADF and KPSS of each series before and after a seasonal difference, on what the final fit may see."""
    history = split.history(table(settings, config, data), folds.test.fold()).only(
        table(settings, config, data).panel.ids[:FEW]
    )
    seasonal = transform.fit([transform.Difference((config.dataset.season_length,))], history.y)
    after = transform.forward(seasonal, history.y)[:, seasonal.memory :]
    kinds = {"as it is": history.y, f"differenced at {config.dataset.season_length}": after}
    found = [diagnostics.stationarity(y, history.ids).assign(series=kind) for kind, y in kinds.items()]
    return pd.concat(found, ignore_index=True)
