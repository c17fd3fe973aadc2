"""The pipeline's own models at a publication's windows: chosen, fitted and kept as ``daycast run`` does."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import pandas as pd

from daycast import config as configuration
from daycast import models
from daycast.config import Config
from daycast.config.reproduce import ControlRow, Publication
from daycast.core import content
from daycast.folders import kept
from daycast.settings import Settings
from daycast.steps import backtest, blend, fit, keys, split, tune
from daycast.steps.reference import DataRef, FittedRef, FoldsRef, TunedRef

TUNED = "tuned.json"  # what a search came to, which an interrupted reproduction goes on with


class Shipped:
    """Models of ``conf/model/``, each made once for all windows of a horizon and a protocol of ``conf/backtest/``."""

    def __init__(self, settings: Settings, told: Publication, overrides: Sequence[str]) -> None:
        """``overrides`` are those of the configuration that the models are made with."""
        self._settings, self._told, self._overrides = settings, told, overrides

    @cached_property
    def members(self) -> dict[str, tuple[str, ...]]:
        """What each model that a row names is made of; nothing unless it is a blend."""
        rows = (row for row in self._told.rows.values() if not isinstance(row, ControlRow))
        names = sorted({row.tuned for row in rows if row.tuned is not None})
        asked = [f"dataset={self._told.dataset}", f"model=[{','.join(names)}]"]
        config = configuration.compose(self._settings.root, asked, fitting=False)
        return {name: blend.members(config, name) for name in names}

    def config(self, name: str, window: str) -> Config:
        """The run that makes a model's forecasts for a window, and for those like it."""
        told, own = self._told, self._told.windows[window]
        alike = [
            other
            for place, other in told.windows.items()
            if other.horizon == own.horizon and told.backtests[place] == told.backtests[window]
        ]
        chosen = dict.fromkeys(("seasonal_naive", *self.members[name], name))
        return configuration.compose(
            self._settings.root,
            [
                f"dataset={told.dataset}",
                f"model=[{','.join(chosen)}]",
                f"backtest={told.backtests[window]}",
                f"backtest.name=reproduce-{own.horizon}",
                f"backtest.horizon={own.horizon}",
                f"backtest.first_target={min(w.first for w in alike)}",
                f"backtest.last_target={max(w.last for w in alike)}",
                *self._overrides,
            ],
        )

    def rows(self, data: DataRef, name: str, window: str) -> pd.DataFrame:
        """Forecasts from all origins of the window and those like it, with what came, in raw units.

        Raises:
            HistoryError: the window's targets don't follow the protocol's fit, or the data end before them.
            ConfigError: an override does not fit, or there is no such model.
        """
        config = self.config(name, window)
        file = self._settings.cache("backtest", keys.backtest(config, data, name)) / backtest.ROWS
        if not file.is_file():
            models.import_libraries(config.model.values())
            self._make(config, data, name)
        return pd.read_parquet(file)

    def _make(self, config: Config, data: DataRef, name: str) -> None:
        """Choose and fit a model, what it is made of before it, and forecast with it alone."""
        folds = split.split(self._settings, config, data)
        tuned: list[TunedRef] = []
        fitted: list[FittedRef] = []
        for member in blend.members(config, name):
            tuned.append(self._tuned(config, data, folds, member, ()))
            fitted.append(fit.fit(self._settings, config, data, folds, tuned[-1]))
        found = self._tuned(config, data, folds, name, tuned)
        if fitted:
            made = blend.join(self._settings, config, data, folds, found, fitted)
        else:
            made = fit.fit(self._settings, config, data, folds, found)
        backtest.backtest(self._settings, config, data, folds, made, found)

    def _tuned(
        self, config: Config, data: DataRef, folds: FoldsRef, name: str, members: Sequence[TunedRef]
    ) -> TunedRef:
        """What a search or the weighing of ``members`` comes to, from the cache if it was done before."""
        key = keys.tune(config, data, name)

        def make(into: Path) -> None:
            if members:
                found = blend.weigh(self._settings, config, data, folds, name, members)
            else:
                found = tune.tune(self._settings, config, data, folds, name)
            (into / TUNED).write_text(found.model_dump_json())

        folder = self._settings.cache("reproduce", content.key("tuned", key))
        kept(folder, make)
        return TunedRef.model_validate_json((folder / TUNED).read_text())
