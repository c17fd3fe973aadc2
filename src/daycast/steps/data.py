"""Load a data version into the arrays that the core computes with."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pandas as pd

from daycast.adapters import versioning
from daycast.config import Config
from daycast.core.frame import FrameSpec, Table
from daycast.core.frame import table as to_table
from daycast.core.until import until
from daycast.settings import Settings
from daycast.steps.reference import DataRef


def in_force(settings: Settings, dataset: str) -> DataRef:
    """The prepared version that the workspace holds. Raises ``DataError`` if there is none."""
    made = versioning.version(settings.root, dataset)
    return DataRef(dataset=made.dataset, version=made.version, pointers=dict(made.pointers))


def frame(settings: Settings, data: DataRef) -> pd.DataFrame:
    """The canonical frame of a version, from DVC's cache or its remote, whatever the workspace holds now."""
    return _read(versioning.materialise(settings.root, data.version))


def seen(settings: Settings, data: DataRef, spec: FrameSpec) -> pd.DataFrame:
    """The canonical frame as far as it may be seen. Raises ``HistoryError`` if nothing had been observed by then."""
    whole = frame(settings, data)
    return whole if data.as_of is None else until(whole, spec, pd.Timestamp(data.as_of))


@lru_cache(maxsize=2)
def _read(file: Path) -> pd.DataFrame:
    # The file lies under the hash of its content, so a path never changes its meaning.
    return pd.read_parquet(file)


def table(settings: Settings, config: Config, data: DataRef) -> Table:
    """The canonical arrays of a version."""
    return to_table(seen(settings, data, config.dataset.spec()), config.dataset.spec())
