"""Score a model's best parameters on the validation folds, and learn how wide its errors are there.

Every model passes here: one without a search space is scored as it is configured. So all have a validation score, and
forecasts of rows that no fit has seen, with what came, by whose errors its intervals are calibrated.
"""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from daycast import models
from daycast.adapters.search import TrialRecord
from daycast.config import Config
from daycast.core import split
from daycast.core.frame import Table
from daycast.settings import Settings
from daycast.steps import intervals, judge, keys, pieces, search
from daycast.steps.data import table
from daycast.steps.forecaster import context, rows, with_parameters
from daycast.steps.progress import emit
from daycast.steps.reference import DataRef, FoldsRef, FoundRef, PartRef, TunedRef
from daycast.steps.search import IMPORTANCES, TRIALS
from daycast.steps.transform import kept
from daycast.steps.window import load_windows

CHOSEN, TUNED = "chosen.parquet", "tuned.json"


def tune(
    settings: Settings,
    config: Config,
    data: DataRef,
    folds: FoldsRef,
    name: str,
    found: FoundRef | None = None,
    parts: Sequence[PartRef] = (),
) -> TunedRef:
    """Search, or take the parameters as configured, and score them.

    Leaves ``chosen.parquet`` (see ``calibration``), ``trials.json`` and ``importances.json``.

    Args:
        found: what the search came to; ``None`` to search here.
        parts: pieces of the validation folds' fits that were made before; all of them, or none.

    Raises:
        ModelError: the metric has no value on the validation folds.
    """
    key = keys.tune(config, data, name)
    folder = settings.cache("tune", key)
    best = found or search.found(settings, config, data, folds, name)

    def make(into: Path) -> None:
        """The rows are those of what the final fit will be: one network misses by more than the mean of several."""
        whole = table(settings, config, data)
        made = [_rows(settings, config, data, whole, (best, folds, k), parts) for k in range(len(folds.validation))]
        value = statistics.fmean(
            judge.value(config, whole, fold, own) for fold, own in zip(folds.validation, made, strict=True)
        )
        pd.concat(made).to_parquet(into / CHOSEN)
        if best.study is None:
            (into / TRIALS).write_text(json.dumps([asdict(TrialRecord(0, "complete", {}, value))], indent=1))
            (into / IMPORTANCES).write_text("{}")
        else:
            for file in (TRIALS, IMPORTANCES):
                shutil.copyfile(settings.cache("search", best.key) / file, into / file)
        told = TunedRef(**best.model_dump() | {"key": key, "value": value})
        (into / TUNED).write_text(told.model_dump_json(indent=1))

    kept(folder, make)
    return TunedRef.model_validate_json((folder / TUNED).read_text())


def trials(settings: Settings, tuned: TunedRef) -> list[TrialRecord]:
    """All trials of a search, also of one whose study is not at hand any more; of no search, one as configured."""
    told = json.loads((settings.cache("tune", tuned.key) / TRIALS).read_text())
    return [TrialRecord(**{**t, "curve": {int(step): v for step, v in t["curve"].items()}}) for t in told]


def calibration(settings: Settings, tuned: TunedRef) -> pd.DataFrame:
    """Rows of the validation folds by the chosen parameters, averaged over as many networks as the final fit has:
    ``unique_id, cutoff, ds, step, y_hat, y``, and the model's own quantiles where it has learned them; raw units."""
    return pd.read_parquet(settings.cache("tune", tuned.key) / CHOSEN)


def _rows(
    settings: Settings,
    config: Config,
    data: DataRef,
    whole: Table,
    of: tuple[FoundRef, FoldsRef, int],
    parts: Sequence[PartRef],
) -> pd.DataFrame:
    """Rows of the k-th validation fold by the best parameters: of its pieces, or fitted here."""
    best, folds, k = of
    name, fold, n = best.model, folds.validation[k], len(folds.validation)
    own, levels = pieces.of(parts, fold), intervals.learned(config, name)
    if own:
        made = pieces.forecasts(settings, own)
        return rows(pieces.joined(settings, config, best, own)[0], whole, fold, levels) if made is None else made
    model = with_parameters(config.model[name], best.parameters)
    forecaster = models.build(model, context(config, config.seed), keys.seeds(config, name))

    def on_epoch(epoch: int, epochs: int, _: object) -> None:
        note = f"chosen values, fold {k + 1} of {n}, epoch {epoch} of {epochs}"
        emit("tune", name, k * epochs + epoch, n * epochs + 1, note)  # and the rows, before it is done

    windows = load_windows(settings, config, data, fold, model)
    forecaster.fit(split.history(whole, fold.fold()), windows, on_epoch)
    return rows(forecaster, whole, fold, levels)
