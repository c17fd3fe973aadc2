"""Forecasts of whole stretches of days by one version, made ahead of a replay's clock in one pass, and kept.

Each row is from the data as they stood at its own cutoff, so making it early tells nothing; those of days on which
another version forecasts are not used.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import pandas as pd

from daycast.adapters import registry
from daycast.core.frame import Table
from daycast.settings import Settings
from daycast.steps import serving
from daycast.steps.data import arrays
from daycast.steps.reference import DataRef

DAYS = 28  # in one pass: longer ones are no faster, and more of them would be thrown away


@dataclass(frozen=True)
class Stretches:
    """The stretches of a replay, on one grid of days whatever was made when.

    Attributes:
        folder: where they are kept.
        data: the version of the data, all of it.
        cutoffs: of all days from the replay's first to the end of the data, ascending.
    """

    settings: Settings
    folder: Path
    data: DataRef
    cutoffs: pd.DatetimeIndex

    def rows(self, version: registry.Version, cutoffs: Sequence[pd.Timestamp] | pd.DatetimeIndex) -> pd.DataFrame:
        """A version's forecasts from some cutoffs; those that are not there yet are made, with their whole stretch."""
        wanted = pd.DatetimeIndex(cutoffs)
        made = pd.concat([self.part(version, number) for number in self.numbers(wanted)], ignore_index=True)
        return made[made["cutoff"].isin(wanted)].reset_index(drop=True)

    def numbers(self, cutoffs: pd.DatetimeIndex) -> list[int]:
        """Of the stretches that some cutoffs lie in."""
        return [int(n) for n in pd.unique(self.cutoffs.get_indexer(cutoffs) // DAYS)]

    def part(self, version: registry.Version, number: int) -> pd.DataFrame:
        """All of a stretch; nobody asks for the days in it that the version had seen."""
        file = self.folder / f"version-{version.number}-part-{number}.parquet"
        if not file.is_file():
            _write(self._made(version, number), file)
        return pd.read_parquet(file)

    def _made(self, version: registry.Version, number: int) -> pd.DataFrame:
        loaded = registry.load(self.settings.tracking_uri, version.name, version.number)
        served = serving.of_version(loaded.folder)
        known = arrays(self.settings, served.spec, self.data)
        cutoffs = self.cutoffs[number * DAYS : (number + 1) * DAYS]
        return serving.at(served, known, list(cutoffs), int(version.tags["daycast.horizon"]))


def observed(known: Table) -> pd.DatetimeIndex:
    """The newest timestamp with an observation of each day that has one."""
    seen = known.panel.ds[np.isfinite(known.panel.y).any(axis=0)]
    return seen[~seen.normalize().duplicated(keep="last")]


def _write(rows: pd.DataFrame, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}-{uuid4().hex}")
    rows.to_parquet(part)
    os.replace(part, file)
