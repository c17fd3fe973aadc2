"""Whether a version forecasts, and the copy of the champion's files that is kept here for when its own can't be had."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from daycast.adapters import registry
from daycast.config import Dataset
from daycast.core import forecast as core
from daycast.core import history
from daycast.errors import FAULTS, DaycastError, MissingError, PromotionError, unanswered
from daycast.settings import Settings
from daycast.steps import serving
from daycast.steps.champion import HORIZON, MODEL, RUN, horizon, moves
from daycast.steps.data import arrays, in_force
from daycast.steps.reference import DataRef


def shelf(settings: Settings, dataset: str) -> Path:
    """Where the files of the champion that forecast last are kept."""
    return settings.state / "champion" / dataset


def kept(settings: Settings, dataset: str, version: registry.Version | None) -> registry.Loaded:
    """The copy of a version, or of whichever there is; not of one with that number in another registry.

    Raises:
        PromotionError: there is none, or it is of a version that was rolled back.
        ModelError: it can't be loaded.
    """
    loaded = registry.copied(shelf(settings, dataset))
    of = loaded and (loaded.version.number, loaded.version.run_id)
    if loaded is None or (version is not None and of != (version.number, version.run_id)):
        raise PromotionError(
            f"a copy of {'the champion' if version is None else f'version {version.number}'} on this machine",
            "none is kept",
            "bring MLflow back",
        )
    if history.rolled_back(moves(settings, dataset), loaded.version.number):
        raise PromotionError("a copy of the champion", "one of a version that was rolled back", "bring MLflow back")
    return loaded


def of_champion(settings: Settings, dataset: str, version: registry.Version) -> registry.Loaded:
    """The champion as the daily forecast has it: from the copy kept here where MLflow has its files no more.

    Raises:
        ToolError: MLflow does not answer, or has not the files, and no copy of them is kept.
    """
    try:
        return registry.load(settings.tracking_uri, version.name, version.number)
    except (MissingError, OSError):
        with suppress(DaycastError, OSError):
            return kept(settings, dataset, version)
        raise


def require_forecast(
    settings: Settings, dataset: Dataset, number: str, data: DataRef | None = None, found: registry.Loaded | None = None
) -> None:
    """Raise ``PromotionError`` unless a version forecasts from the data (in force) within its contract.

    Args:
        number: of the version, which has to load; ``found`` spares that.
    """
    try:
        loaded = found or registry.load(settings.tracking_uri, registry.model_name(dataset.name), number)
        steps = horizon(loaded.version.tags)
        lacking = sorted({RUN, MODEL} - loaded.version.tags.keys()) + ([HORIZON] if steps is None else [])
        if lacking or steps is None:
            told = f"version {number} without {', '.join(lacking)}, as put there or edited by hand"
            raise PromotionError("a version with the tags that daycast gives", told, "take another one")
        served = serving.of_version(loaded.folder)
        known = arrays(settings, served.spec, data or in_force(settings, dataset.name))
        core.check(serving.from_table(served, known, steps), len(known.panel.ids) * steps, dataset.floor)
    except (DaycastError, *FAULTS) as error:
        said = (error.expected, error.found) if isinstance(error, DaycastError) else (type(error).__name__, str(error))
        raise PromotionError(
            f"version {number} to load, and to forecast from the data in force",
            "; found: ".join(said),
            f"take another one: `daycast history dataset={dataset.name}` and the registry have them",
        ) from error


def failing(settings: Settings, dataset: Dataset, version: registry.Version, data: DataRef) -> str | None:
    """Why the champion does not forecast from the data any more, not even from the copy; ``None`` if it does.

    Raises:
        ToolError: MLflow does not answer, which says nothing of the version.
    """
    try:
        require_forecast(settings, dataset, version.number, data, of_champion(settings, dataset.name, version))
    except DaycastError as error:
        for one in (error, error.__cause__):
            if one is not None and unanswered(one):
                raise one from None
        return error.found if isinstance(error, PromotionError) else f"{error.expected}; found: {error.found}"
    except FAULTS as error:
        return f"{type(error).__name__}: {error}"
    return None
