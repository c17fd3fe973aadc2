"""Train and score what was published as it was published, and set ours beside it: one table, one run in MLflow."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from daycast import config as configuration
from daycast.config import Config
from daycast.config.reproduce import ControlRow, Figure, FittedRow, NetworkRow, Publication
from daycast.core import reproduce as core
from daycast.core.frame import Table
from daycast.core.reproduce import Line
from daycast.errors import ConfigError, DataError
from daycast.settings import Settings
from daycast.steps import prepare, published, validate
from daycast.steps.control import Controlled, control
from daycast.steps.data import table
from daycast.steps.progress import emit
from daycast.steps.reference import DataRef
from daycast.steps.shipped import Shipped

QUICK = ("tuning=none", "trainer.max_epochs=2", "trainer.patience=2")


@dataclass(frozen=True)
class Request:
    """What shall be reproduced.

    Attributes:
        told: the publication.
        rows: names of its rows, in its order.
        seeds: trainings of each network.
        overrides: of the configuration that ours tuned are made with.
        quick: whether it is a check of the machinery, whose figures mean nothing.
    """

    told: Publication
    rows: tuple[str, ...]
    seeds: int
    overrides: tuple[str, ...]
    quick: bool


@dataclass(frozen=True)
class Reproduction:
    """What came of it: ``lines`` as of ``core.reproduce.Line``, by row the control, and the data, if any was needed."""

    lines: pd.DataFrame
    controls: dict[str, Controlled]
    data: DataRef | None
    config: Config


def request(
    told: Publication, rows: Sequence[str], seeds: int | None, overrides: Sequence[str], quick: bool
) -> Request:
    """What the command line asks for, checked.

    Raises:
        ConfigError: rows do not exist; the nearest names are told.
    """
    unknown = [name for name in rows if name not in told.rows]
    if unknown:
        near = [n for name in unknown for n in difflib.get_close_matches(name, told.rows, n=3, cutoff=0.4)]
        raise ConfigError(
            f"rows among {', '.join(told.rows)}",
            ", ".join(f"`{name}`" for name in unknown),
            f"did you mean {' or '.join(f'`{n}`' for n in dict.fromkeys(near))}?" if near else "name some of them",
        )
    wanted = rows or (told.quick.rows if quick else tuple(told.rows))
    chosen = tuple(name for name in told.rows if name in wanted)
    if quick:
        return Request(published.shortened(told), chosen, seeds or 1, (*QUICK, *overrides), True)
    return Request(told, chosen, seeds or told.seeds, tuple(overrides), False)


def reproduce(settings: Settings, asked: Request) -> Reproduction:
    """All rows, from the cache where they were made before.

    Raises:
        DataError: the dataset was not ingested.
        ConfigError: what a row names is not in the data or in ``conf/``.
    """
    told = asked.told
    base = configuration.compose(settings.root, [f"dataset={told.dataset}", *asked.overrides], fitting=False)
    seeds = [base.seed + i for i in range(asked.seeds)]
    own = Shipped(settings, told, asked.overrides)
    lines: list[Line] = []
    controls: dict[str, Controlled] = {}
    data = whole = None
    if any(not isinstance(told.rows[name], ControlRow) for name in asked.rows):
        data = _data(settings, told.dataset)
        whole = table(settings, base, data)
    for name in asked.rows:
        row = told.rows[name]
        if isinstance(row, ControlRow):
            controls[name] = control(settings, name, row, seeds, base.promotion.gate(), base.trainer)
            lines.append(_control_line(name, row, controls[name]))
        elif data is not None and whole is not None:
            made = _made(settings, (whole, data, base), told, name, seeds)
            tuned = None if row.tuned is None else own.rows(data, row.tuned, row.window)
            lines += [_line(told, name, f, made, tuned, isinstance(row, NetworkRow)) for f in row.figures]
    return Reproduction(pd.DataFrame([asdict(line) for line in lines]), controls, data, base)


def _data(settings: Settings, dataset: str) -> DataRef:
    """The dataset in force, prepared if it is not yet."""
    if not (settings.root / "data" / "raw" / f"{dataset}.dvc").is_file():
        raise DataError(
            f"the dataset {dataset}, ingested",
            "none",
            f"run `daycast ingest dataset={dataset}`, or with a copy of the file "
            f"`daycast ingest dataset={dataset} --from FILE`",
        )
    emit("prepare", dataset, 0, 1, "running")
    validate.validate(settings, dataset)
    data = prepare.prepare(settings, dataset)
    emit("prepare", dataset, 1, 1, "done")
    return data


def _made(
    settings: Settings, of: tuple[Table, DataRef, Config], told: Publication, name: str, seeds: Sequence[int]
) -> list[pd.DataFrame]:
    """Forecasts as published: of each seed, of a model without a seed once, of a shipped one none."""
    whole, data, base = of
    folders: list[Path] = []
    if isinstance(told.rows[name], FittedRow):
        folders = [published.fitted(settings, whole, data.version, told, name, base.trainer)]
    elif isinstance(told.rows[name], NetworkRow):
        folders = [published.trained(settings, whole, data.version, told, name, seed) for seed in seeds]
    return [published.rows(folder) for folder in folders]


def _line(
    told: Publication, name: str, of: Figure, made: Sequence[pd.DataFrame], tuned: pd.DataFrame | None, seeded: bool
) -> Line:
    row = told.rows[name]
    assert not isinstance(row, ControlRow)
    window = told.windows[row.window]
    at = core.cutoffs(pd.Timestamp(window.first), pd.Timestamp(window.last), window.horizon)

    def value(rows: pd.DataFrame) -> float:
        return core.figure(rows, at, of.series, of.step, of.metric)

    step = f" +{of.step}" if of.step else " mean" if window.horizon > 1 else ""
    about = (name, row.title, f"{of.series} {of.metric}{step}")
    ours = (float("nan"), "") if tuned is None else (value(tuned), str(row.tuned))
    return core.line(about, (of.published, of.measured), [value(rows) for rows in made], seeded, ours)


def _control_line(name: str, row: ControlRow, found: Controlled) -> Line:
    mean = float(found.board.set_index("model")["rmse"]["mean"])
    return core.line((name, row.title, "rmse"), (None, None), found.networks, True, (mean, "mean"))
