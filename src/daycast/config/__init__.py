"""What a user may turn: ``conf/`` composed by Hydra, checked into frozen, strict, documented sections.

Only the dataset section is imported at once: the stages of DVC read it alone, and depend on no code of the others.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from daycast.config.compose import UNUSED, compose, config_hash, dataset_only, recorded
from daycast.config.dataset import Dataset

if TYPE_CHECKING:
    from daycast.config.alert import Alert, AlertNetwork, Logistic
    from daycast.config.models import Blend, DayTypeNaive, Model, Naive, SeasonalNaive
    from daycast.config.monitoring import Monitoring
    from daycast.config.per_series import AutoArima, AutoEts, Mstl, Sarima
    from daycast.config.promotion import Promotion
    from daycast.config.recurrent import Conv, Dilated, Recurrent
    from daycast.config.sections import Backtest, Config, Intervals, Runner, Trainer, Tuning
    from daycast.config.tabular import LightGbm, Linear

__all__ = [
    "UNUSED",
    "Alert",
    "AlertNetwork",
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
    "Logistic",
    "Model",
    "Monitoring",
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
    "recorded",
]

_IN_SECTIONS = ("Backtest", "Config", "Intervals", "Runner", "Trainer", "Tuning")
_IN_RECURRENT = ("Conv", "Dilated")
_IN_ALERT = ("Alert", "AlertNetwork", "Logistic")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    places = {"sections": _IN_SECTIONS, "recurrent": _IN_RECURRENT, "alert": _IN_ALERT}
    places |= {"promotion": ("Promotion",), "monitoring": ("Monitoring",)}
    place = next((place for place, names in places.items() if name in names), "models")
    return getattr(import_module(f"{__name__}.{place}"), name)
