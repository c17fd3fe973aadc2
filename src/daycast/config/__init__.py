"""What a user may turn: ``conf/`` composed by Hydra, checked into frozen, strict, documented sections.

Only the dataset section is imported at once: the stages of DVC read it alone, and depend on no code of the others.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from daycast.config.compose import compose, config_hash, dataset_only
from daycast.config.dataset import Dataset

if TYPE_CHECKING:
    from daycast.config.models import Blend, DayTypeNaive, Model, Naive, SeasonalNaive
    from daycast.config.per_series import AutoArima, AutoEts, Mstl, Sarima
    from daycast.config.recurrent import Conv, Dilated, Recurrent
    from daycast.config.sections import Backtest, Config, Intervals, Promotion, Runner, Trainer, Tuning
    from daycast.config.tabular import LightGbm, Linear

__all__ = [
    "AutoArima",
    "AutoEts",
    "Backtest",
    "Blend",
    "Config",
    "Conv",
    "Dataset",
    "DayTypeNaive",
    "Dilated",
    "Intervals",
    "LightGbm",
    "Linear",
    "Model",
    "Mstl",
    "Naive",
    "Promotion",
    "Recurrent",
    "Runner",
    "Sarima",
    "SeasonalNaive",
    "Trainer",
    "Tuning",
    "compose",
    "config_hash",
    "dataset_only",
]

_IN_SECTIONS = ("Backtest", "Config", "Intervals", "Promotion", "Runner", "Trainer", "Tuning")
_IN_RECURRENT = ("Conv", "Dilated")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    place = "sections" if name in _IN_SECTIONS else "recurrent" if name in _IN_RECURRENT else "models"
    return getattr(import_module(f"{__name__}.{place}"), name)
