"""Known columns that nobody knows ahead: their values come to be known with their timestamps, such as a regime's.

Their features tell, at every timestamp, the value of the one *before*: the newest that is known when the timestamp is
forecast one step ahead. From a cutoff, that of the first step is taken to go on through the horizon. So a forecast has
the value at its cutoff for all steps, and whatever learns from a history has to see each window's future in the same
way, or it learns from what no forecast knows.

Letters of ``core.frame``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from daycast.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from daycast.core.channels import Columns
    from daycast.core.frame import Float, Future, Panel

    Known = TypeVar("Known", Panel, Future)


def late(shared: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """``shared (T, ...)`` with each of the columns one timestamp late; the first timestamp keeps its own value."""
    return shared.assign(**{c: shared[c].shift(1).fillna(shared[c].iloc[0]) for c in columns})


def features(panel: Panel) -> NDArray[np.intp]:
    """Which of the known features are of held columns, along F."""
    column = [name.split("=", 1)[0] for name in panel.known_names]
    return np.flatnonzero(np.isin(column, panel.spec.held))


def among(panel: Panel, columns: Columns) -> tuple[int, ...]:
    """Which of the chosen known features are of held columns, numbered along the choice."""
    chosen = np.arange(len(panel.known_names))[columns]
    return tuple(np.flatnonzero(np.isin(chosen, features(panel))).tolist())


def goes_on(known: Float, of: NDArray[np.intp]) -> Float:
    """Features ``(H, F)`` of the steps after a cutoff, those numbered ``of`` as at the first step."""
    if not len(of):
        return known
    out = known.copy()
    out[:, of] = known[0, of]
    out.flags.writeable = False
    return out


def chosen(history: Panel, columns: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the known features that a fit on this history learns from.

    Held ones that never change in it are left out: a regime that begins after the fit makes no model another one.

    Args:
        columns: those whose features are wanted; ``None`` for all but the held ones, which have to be asked for.

    Raises:
        ConfigError: one of the columns is not known.
    """
    late = set(features(history).tolist())
    still = {i for i in late if not np.ptp(history.known[:, i])}
    column = [name.split("=", 1)[0] for name in history.known_names]
    missing = sorted(set(columns or ()) - set(column))
    if missing:
        raise ConfigError(
            f"known columns of the dataset, {sorted(set(column))}",
            f"{missing}",
            "correct the model's `known`, or declare the column in the dataset's covariates.known",
        )
    unwanted = late if columns is None else {i for i, c in enumerate(column) if c not in columns} | still
    return tuple(name for i, name in enumerate(history.known_names) if i not in unwanted)


def only(of: Known, names: Sequence[str]) -> Known:
    """A history or future with the known features ``names`` alone; itself where it has no others."""
    kept = [i for i, name in enumerate(of.known_names) if name in names]
    if len(kept) == len(of.known_names):
        return of
    return replace(of, known=of.known[:, kept], known_names=tuple(of.known_names[i] for i in kept))


def refuse(history: Panel, by: Sequence[str]) -> None:
    """Raise ``ModelError`` if classes of timestamps are to be told by held columns.

    The class of a day ahead would be another one by the time the day comes.
    """
    late = [column for column in by if column in history.spec.held]
    if late:
        raise ModelError(
            f"columns known ahead, of {[c for c in history.spec.known if c not in history.spec.held]}",
            f"{late}, known no sooner than their days",
            "change the columns that classes of days are told by",
        )
