"""The proof that no forecast has seen the future: change all that comes after a cutoff, and forecasts must not move.

Two stages are tested, each under every way of ``SCRAMBLES``.

``fit``
    The model is built and fitted again, all values after the fit's cutoff being scrambled; its forecasts from untouched
    histories must be the same. This catches scalers, encoders and averages learned from the whole table.
``predict``
    The model fitted on true values forecasts again, at each cutoff in turn, from a table scrambled after that cutoff.
    All origins go to it in one call, as in a backtest, so what a later origin could tell an earlier one is caught too.

The scrambled tables are whole: what a model gets are views of arrays whose later columns really hold the scrambled
values, so it does not help a model to reach beyond its view (``history.y.base``). Known covariates and static ones
stay, since they are known at the cutoff; but for held ones (``core.held``), of which only the next step's is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from daycast.core import held
from daycast.core.forecast import Forecaster, predict
from daycast.core.frame import Float, Table
from daycast.core.quantiles import learned
from daycast.core.split import origins
from daycast.errors import HistoryError, ModelError

Make = Callable[[Table], Forecaster]
"""Builds an unfitted forecaster. It gets the table that is in force, so that what it takes from it is tested too."""

SCRAMBLES = ("permuted", "scaled", "missing")
"""Later values in another order, times ten plus one, and gone."""

COLUMNS = ["stage", "scramble", "cutoff", "unique_id", "step", "before", "after", "moved"]


@dataclass(frozen=True)
class LeakageResult:
    """What moved.

    Attributes:
        compared: forecasts compared, over all stages and scrambles.
        moves: a row of ``COLUMNS`` per forecast that moved; ``moved`` is the absolute difference in units of y,
            infinite where a forecast came or went.
    """

    compared: int
    moves: pd.DataFrame

    @property
    def passed(self) -> bool:
        """Whether nothing moved by a bit."""
        return self.moves.empty

    def summary(self) -> str:
        """One line: how many forecasts were compared, or what moved where and the most that it moved."""
        if self.passed:
            return f"{self.compared} forecasts compared, none moved"
        worst = self.moves.sort_values("moved", ascending=False).iloc[0]
        stages = ", ".join(sorted(set(self.moves["stage"] + " (" + self.moves["scramble"] + ")")))
        return (
            f"{len(self.moves)} of {self.compared} forecasts moved with later values, in {stages}; most of all "
            f"{worst['unique_id']} step {worst['step']} from {worst['cutoff'].date()}, by {worst['moved']:g}"
        )


def scrambled(table: Table, cutoff: pd.Timestamp | None, how: str, rng: np.random.Generator) -> Table:
    """A table of its own memory in which all that is not known at ``cutoff`` is scrambled; ``None``: nothing.

    Args:
        how: one of ``SCRAMBLES``; each series and covariate is permuted by itself.
    """
    panel = table.panel
    start = len(panel.ds) if cutoff is None else panel.position(cutoff) + 1
    y, past = np.array(panel.y, order="C"), np.array(panel.past, order="C")
    for values in (y, past):
        if how == "permuted":
            values[:, start:] = rng.permuted(values[:, start:], axis=1)
        elif how == "scaled":
            values[:, start:] = 10 * values[:, start:] + 1
        else:
            values[:, start:] = np.nan
        values.flags.writeable = False
    known, beyond = _other_known(table, start + 1, how, rng)
    return Table(replace(panel, y=y, past=past, known=known), replace(table.beyond, known=beyond))


def _other_known(table: Table, start: int, how: str, rng: np.random.Generator) -> tuple[Float, Float]:
    """The known features of the panel and beyond, the held ones from row ``start`` on scrambled; gone is 0 there, as a
    missing one would stop a model rather than show what it reads."""
    known, of = np.concatenate([table.panel.known, table.beyond.known]), held.features(table.panel)
    after = np.ix_(np.arange(start, len(known)), of)
    if how == "permuted":
        known[after] = rng.permutation(known[after])
    elif how == "scaled":
        known[after] = 10 * known[after] + 1
    else:
        known[after] = 0.0
    known.flags.writeable = False
    return known[: len(table.panel.ds)], known[len(table.panel.ds) :]


def audit(
    make: Make,
    table: Table,
    fit_cutoff: pd.Timestamp,
    cutoffs: Sequence[pd.Timestamp] | pd.DatetimeIndex,
    horizon: int,
    seed: int,
    scrambles: Iterable[str] = SCRAMBLES,
    levels: Sequence[float] = (),
) -> LeakageResult:
    """Fit and forecast on true and on scrambled later values, and compare bit for bit.

    Costs two fits and one for each scramble; and one backtest, one for each scramble, and one for each pair of scramble
    and cutoff.

    Args:
        make: builds the forecaster; with the same data it must learn the same bits.
        fit_cutoff: last timestamp fitted on.
        cutoffs: origins to forecast from, none before ``fit_cutoff``.
        seed: of the permutations.
        scrambles: which of ``SCRAMBLES`` to try.
        levels: those at which the model's own quantiles are compared too.

    Raises:
        HistoryError: a cutoff lies before the fit's, or nothing is observed after one, so that nothing could be proved.
        ModelError: the model is not deterministic, so that movement proves nothing.
    """
    cuts = pd.DatetimeIndex(list(cutoffs)).sort_values()
    _check_cutoffs(table, fit_cutoff, cuts)
    rng = np.random.default_rng(seed)
    true = scrambled(table, None, "missing", rng)  # the same memory layout as the others, so equal arithmetic
    before = _forecast(_fit(make, true, fit_cutoff), true, cuts, horizon, levels)
    fresh = _fit(make, true, fit_cutoff)  # has never seen a true origin, so it can't answer from a cache
    compared, moves = 0, []
    for how in scrambles:
        other = _fit(make, scrambled(table, fit_cutoff, how, rng), fit_cutoff)
        after = _forecast(other, true, cuts, horizon, levels)
        for k, cutoff in enumerate(cuts):
            after_k = _forecast(fresh, scrambled(table, cutoff, how, rng), cuts, horizon, levels)[k]
            moves += _moves("fit", how, cutoff, before[k], after[k], table.panel.ids)
            moves += _moves("predict", how, cutoff, before[k], after_k, table.panel.ids)
            compared += 2 * before[k].size
    if moves:
        again = _forecast(_fit(make, true, fit_cutoff), true, cuts, horizon, levels)
        if not np.array_equal(before, again, equal_nan=True):
            raise ModelError(
                "a model that learns the same bits from the same data",
                f"up to {np.nanmax(np.abs(before - again)):g} between the forecasts of two equal fits",
                "seed the model and make its training deterministic, then audit again",
            )
    return LeakageResult(compared, pd.DataFrame(moves, columns=COLUMNS))


def _check_cutoffs(table: Table, fit_cutoff: pd.Timestamp, cuts: pd.DatetimeIndex) -> None:
    panel = table.panel
    fix = "choose cutoffs from the fit's on, inside the data"
    if not len(cuts) or cuts[0] < fit_cutoff:
        found = f"one at {cuts[0].date()}" if len(cuts) else "none"
        raise HistoryError(f"cutoffs, none before the fit's {fit_cutoff.date()}", found, fix)
    if not np.isfinite(panel.y[:, panel.position(cuts[-1]) + 1 :]).any():
        raise HistoryError(f"observed values after {cuts[-1].date()}, to scramble", "none", fix)


def _fit(make: Make, table: Table, fit_cutoff: pd.Timestamp) -> Forecaster:
    model = make(table)
    model.fit(table.panel.until(fit_cutoff))
    return model


def _forecast(model: Forecaster, table: Table, cuts: pd.DatetimeIndex, horizon: int, levels: Sequence[float]) -> Float:
    """Point forecasts and quantiles, ``(O, N, H, 1 + Q)``."""
    at = origins(table, cuts, horizon)
    point = predict(model, at)[..., None]
    return np.concatenate([point, learned(model, at, levels, horizon)], axis=-1) if levels else point


def _moves(
    stage: str, scramble: str, cutoff: pd.Timestamp, before: Float, after: Float, ids: tuple[str, ...]
) -> list[tuple[object, ...]]:
    """A tuple of ``COLUMNS`` for each forecast or quantile ``(N, H, 1 + Q)`` that is not the same bits."""
    same = (before == after) | (np.isnan(before) & np.isnan(after))
    moved = np.nan_to_num(np.abs(after - before), nan=np.inf)
    return [
        (stage, scramble, cutoff, ids[n], int(h) + 1, before[n, h, v], after[n, h, v], moved[n, h, v])
        for n, h, v in np.argwhere(~same)
    ]
