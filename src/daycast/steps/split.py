"""Lay out the folds."""

from __future__ import annotations

from daycast.config import Config
from daycast.core import split as core
from daycast.settings import Settings
from daycast.steps.data import table
from daycast.steps.reference import DataRef, FoldRef, FoldsRef


def split(settings: Settings, config: Config, data: DataRef) -> FoldsRef:
    """The folds of ``conf/backtest`` on this data. Raises ``HistoryError`` if they don't fit it."""
    panel = table(settings, config, data).panel
    found = core.split(panel, config.backtest.plan())
    validation = tuple(FoldRef.of(f) for f in found.validation)
    return FoldsRef(validation=validation, test=FoldRef.of(found.test), n_series=len(panel.ids))
