"""Forecasters by name: build one from its configuration, save it as data, load it back. No pickle anywhere."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from daycast import config as sections
from daycast.errors import DaycastError, ModelError
from daycast.models.context import BuildContext

if TYPE_CHECKING:
    from daycast.core.forecast import Arrays, FitReport, Forecaster

__all__ = [
    "BuildContext",
    "build",
    "describe",
    "described",
    "gpus",
    "import_libraries",
    "joined",
    "load",
    "require_devices",
    "save",
]

CONFIG, WEIGHTS = "config.json", "weights.safetensors"


def _baseline(config: Any, context: BuildContext) -> Forecaster:
    from daycast.models import baselines

    kinds = {
        "naive": baselines.Naive,
        "mean": baselines.Mean,
        "seasonal_naive": baselines.SeasonalNaive,
        "day_type_naive": baselines.DayTypeNaive,
    }
    return kinds[config.family](config, context)


def _arima(config: Any, context: BuildContext) -> Forecaster:
    from daycast.models import arima

    return arima.Sarima(config, context) if config.family == "sarima" else arima.AutoArima(config, context)


def _blend(config: Any, context: BuildContext) -> Forecaster:
    from daycast.models.blend import Blend

    return Blend(config, context)


def _tabular(config: Any, context: BuildContext) -> Forecaster:
    from daycast.models.tabular import Tabular

    return Tabular(config, context)


def _smoothing(config: Any, context: BuildContext) -> Forecaster:
    from daycast.models import smoothing

    return smoothing.AutoEts(config, context) if config.family == "auto_ets" else smoothing.Mstl(config, context)


def _neural(config: Any, context: BuildContext) -> Forecaster:
    from daycast.models.neural import NeuralForecaster

    return NeuralForecaster(config, context)


_FAMILIES: dict[str, Callable[[Any, BuildContext], Forecaster]] = {
    "naive": _baseline,
    "mean": _baseline,
    "seasonal_naive": _baseline,
    "day_type_naive": _baseline,
    "sarima": _arima,
    "auto_arima": _arima,
    "linear": _tabular,
    "lightgbm": _tabular,
    "auto_ets": _smoothing,
    "mstl": _smoothing,
    "recurrent": _neural,
    "blend": _blend,
}


@dataclass(frozen=True)
class _Blueprint:
    """What a forecaster was built from; travels with it, so that ``save`` needs nothing else."""

    config: sections.Model
    context: BuildContext
    seeds: int


def import_libraries(configs: Iterable[sections.Model]) -> None:
    """Import in this thread what must not be imported for these models while other threads compute.

    SciPy asks in many of its functions whether a value is a tensor, and fails on a torch that is half imported.
    """
    if any(isinstance(config, sections.Recurrent) for config in configs):
        import_module("daycast.models.neural")


def gpus() -> int:
    """How many GPUs PyTorch finds on this machine."""
    import torch

    return torch.cuda.device_count()


def require_devices(config: sections.Config) -> None:
    """Do nothing if the trainer's devices are on this machine, or a cluster elsewhere is to have them.

    Raises:
        ConfigError: they are not.
    """
    elsewhere = getattr(config.runner, "address", None) is not None
    if not elsewhere and (config.trainer.accelerator != "cpu" or config.trainer.precision == "16-mixed"):
        from daycast.models import devices

        devices.require(config.trainer)


def build(config: sections.Model, context: BuildContext, seeds: int = 1) -> Forecaster:
    """The forecaster that ``config`` describes, not fitted yet.

    Args:
        seeds: above 1, that many networks from seeds ``context.seed``, ``context.seed + 1``, …, averaged. Models
            without a seed ignore it.
    """
    forecaster: Any
    if seeds > 1 and isinstance(config, sections.Recurrent):
        from daycast.models.ensemble import Ensemble
        from daycast.models.neural import NeuralForecaster

        contexts = [replace(context, seed=context.seed + i) for i in range(seeds)]
        forecaster = Ensemble([NeuralForecaster(config, own) for own in contexts])
    else:
        forecaster = _FAMILIES[config.family](config, context)
    forecaster.blueprint = _Blueprint(config, context, seeds)
    return forecaster


def joined(
    config: sections.Model,
    context: BuildContext,
    seeds: int,
    parts: Sequence[Any],
    reports: Sequence[FitReport],
) -> tuple[Forecaster, FitReport]:
    """The forecaster that ``build(config, context, seeds)`` and one fit would come to, of parts fitted apart.

    Args:
        parts: each with one of the seeds, in order; or, of a family that fits each series by itself, each on some of
            the series, in order. One that is the whole is handed on.
        reports: of their fits.
    """
    if len(parts) == 1:
        return parts[0], reports[0]
    whole: Any = build(config, context, seeds)
    return whole, whole.join(parts, reports)


def save(forecaster: Forecaster, folder: Path) -> None:
    """Write ``config.json`` and ``weights.safetensors`` to ``folder``, whole or not at all; it must not exist yet.

    Raises:
        ModelError: the forecaster is not from ``build`` or not fitted, or the folder exists.
    """
    from safetensors.numpy import save_file

    description, arrays = describe(forecaster)
    if folder.exists():
        raise ModelError("a folder that does not exist yet", str(folder), "save to a new folder, or remove this one")
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        (unfinished / CONFIG).write_text(json.dumps(description, indent=1))
        save_file(arrays, unfinished / WEIGHTS)
        unfinished.chmod(0o755)  # temporary folders are private
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def load(folder: Path) -> Forecaster:
    """The fitted forecaster that ``save`` wrote to ``folder``.

    Raises:
        ModelError: a file is missing, broken, or not of this version of daycast.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        description = json.loads((folder / CONFIG).read_text())
        forecaster = described(description, load_file(folder / WEIGHTS))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ValidationError, SafetensorError) as error:
        raise _unreadable(folder, f"{type(error).__name__}: {error}") from error
    except DaycastError as error:
        raise _unreadable(folder, f"{error.found} instead of {error.expected}") from error
    return forecaster


def describe(forecaster: Forecaster) -> tuple[dict[str, Any], Arrays]:
    """A fitted forecaster as JSON-able values and arrays. Raises ``ModelError`` if it is not from ``build``."""
    blueprint = getattr(forecaster, "blueprint", None)
    if blueprint is None:
        raise ModelError("a forecaster made by models.build", type(forecaster).__name__, "make it with models.build")
    values, arrays = forecaster.state()
    context = blueprint.context
    return {
        "family": blueprint.config.family,
        "model": blueprint.config.model_dump(mode="json"),
        "context": {**asdict(context), "trainer": context.trainer.model_dump(mode="json")},
        "seeds": blueprint.seeds,
        "values": values,
    }, arrays


def described(description: Mapping[str, Any], arrays: Arrays) -> Forecaster:
    """The forecaster that ``describe`` described."""
    config: sections.Model = TypeAdapter(sections.Model).validate_json(json.dumps(description["model"]))
    given = description["context"]
    trainer = sections.Trainer.saved(given["trainer"])
    context = BuildContext(given["horizon"], given["season_length"], given["seed"], trainer)
    forecaster = build(config, context, description["seeds"])
    forecaster.restore(description["values"], arrays)
    return forecaster


def _unreadable(folder: Path, found: str) -> ModelError:
    return ModelError(
        f"a model as models.save writes it in {folder}", found, "restore its files as they were, or fit it again"
    )
