"""One series' seasonal ARIMA with regressors, in statsmodels' state space form. Letters of ``core.frame``; K of them.

A missing value is no special case in this form, and a fitted model is its orders and one vector of parameters. A
forecast takes the state that the Kalman filter predicts at the cutoff and carries it on by the transition matrix; the
filter only looks back, so one pass over the longest history serves every cutoff in it, each to the same bits as alone.
Source: Durbin and Koopman, Time Series Analysis by State Space Methods, 2nd ed., chapter 4.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from daycast.core.fill import seasonal_fill
from daycast.core.frame import Float
from daycast.models.budget import UNLIMITED, Clock, watched
from daycast.models.per_series import keeps_up
from daycast.models.whitening import effects

if TYPE_CHECKING:
    from statsmodels.tsa.statespace.sarimax import SARIMAX

Orders = tuple[tuple[int, int, int], tuple[int, int, int]]
"""(p, d, q) and (P, D, Q)."""

MAX_ITERATIONS = 200  # of L-BFGS; daily ridership takes 30 to 100
MOST_AT_ONCE = 20  # regressors; with 67, on six years of days, the optimiser alone takes 100 s, and in turn 20 s
MAX_ROUNDS, STILL = 20, 0.05  # a round that adds less to the log-likelihood is the last; there are about four
BOUNDS = {"max_p": 3, "max_q": 3, "max_P": 1, "max_Q": 1, "max_order": 5, "nmodels": 30}
KINDS = ("ar", "ma", "sar", "sma")  # statsforecast's names


@dataclass(frozen=True)
class Fitted:
    """One series' model.

    Attributes:
        orders: see ``Orders``.
        season: steps per season.
        scale: what y is divided by, units of y.
        parameters: as statsmodels orders them, in scaled units: regression, AR, MA, seasonal AR and MA, variance.
        converged: whether the optimiser said so.
    """

    orders: Orders
    season: int
    scale: float
    parameters: Float
    converged: bool

    @property
    def name(self) -> str:
        """Such as ``(1,0,1)(0,1,1)[7]``."""
        plain, seasonal = (",".join(map(str, order)) for order in self.orders)
        return f"({plain})({seasonal})[{self.season}]"


def estimate(y: Float, x: Float, season: int, scale: float, orders: Orders, clock: Clock = UNLIMITED) -> Fitted | None:
    """Maximum likelihood estimate on ``y (T,)``, NaN where missing, with regressors ``x (T, K)``; None if unsound.

    Args:
        scale: what y is divided by first. With its standard deviation the optimiser converges; in raw units (1e5 and
            more) L-BFGS stops early and statsmodels' diffuse prior (variance 1e6) is informative, so that the result
            depends on the unit.
        clock: asked before each evaluation of the likelihood.

    Raises:
        OverBudgetError: the clock ran out.
    """
    _quiet()
    way = _at_once if x.shape[1] <= MOST_AT_ONCE else _in_turn
    try:
        parameters, converged = way(y / scale, x, season, orders, clock)
    except (ValueError, np.linalg.LinAlgError):
        return None
    fitted = Fitted(orders, season, scale, parameters, converged)
    return fitted if _sound(fitted, y, x) else None


def _at_once(z: Float, x: Float, season: int, orders: Orders, clock: Clock) -> tuple[Float, bool]:
    """All parameters by the optimiser, and whether it converged."""
    result = _optimum(_space(z, x, season, orders), clock)
    return np.asarray(result.params), bool(result.mle_retvals["converged"])


def _in_turn(z: Float, x: Float, season: int, orders: Orders, clock: Clock) -> tuple[Float, bool]:
    """The same optimum, for regressors by the dozen: their effects and the other parameters in turn, each given the
    others, until the likelihood stands still. The optimiser alone needs its every gradient in all of them."""
    from statsmodels.tsa.statespace.tools import diff

    x = _with_mean(x, orders)
    differences = orders[0][1], orders[1][1], season
    change, changes = diff(z, *differences), np.column_stack([diff(column, *differences) for column in x.T])
    seen = np.isfinite(change)
    beta = np.linalg.lstsq(changes[seen], change[seen], rcond=None)[0]
    start, before = None, -np.inf
    for _ in range(MAX_ROUNDS):
        space = _sarimax(z - x @ beta, None, season, orders)
        result = _optimum(space, clock, start)
        start = np.asarray(result.params)
        if still := result.llf - before < STILL:
            break
        before, beta = result.llf, effects(space, start, z, x)
    return np.concatenate([beta, start]), still and bool(result.mle_retvals["converged"])


def _optimum(space: SARIMAX, clock: Clock, start: Float | None = None) -> Any:
    """statsmodels' results at the most likely parameters."""
    likelihood = space.loglike

    def timed(*args: Any, **options: Any) -> Any:
        clock.check()
        return likelihood(*args, **options)

    space.loglike = timed  # statsmodels' own callback comes once an iteration, of many evaluations
    return space.fit(
        start_params=start,
        maxiter=MAX_ITERATIONS,
        disp=False,
        cov_type="none",
        low_memory=True,
        warn_convergence=False,  # told by ``Fitted.converged`` instead
    )


def search(y: Float, x: Float, season: int, scale: float, clock: Clock = UNLIMITED) -> Fitted | None:
    """Orders and estimate by statsforecast's stepwise search; arguments as for ``estimate``; None if unsound.

    ``BOUNDS`` and an approximate likelihood bound its time; the chosen orders get an exact one.

    Raises:
        OverBudgetError: the clock ran out.
    """
    from statsforecast.arima import auto_arima_f

    _quiet()
    filled = seasonal_fill(y, season) / scale  # its tests for differences take no holes
    varied = _independent(x[np.isfinite(filled)])
    try:
        found = auto_arima_f(  # type: ignore[no-untyped-call]
            watched(filled, clock),
            xreg=x[:, varied] if varied else None,
            period=season,
            approximation=True,
            allowdrift=False,  # a slope carried on for ever is a poor forecast; d = 1 follows a level without it
            **BOUNDS,
        )
    except (ValueError, RuntimeError, np.linalg.LinAlgError):
        return None
    p, q, big_p, big_q, _, d, big_d = (int(v) for v in found["arma"])
    named = found["coef"]
    beta = np.zeros(x.shape[1])
    beta[varied] = [named[f"ex_{k}"] for k in range(1, len(varied) + 1)]
    mean = [] if d + big_d else [named.get("intercept", 0.0)]
    arma = [named[f"{kind}{k}"] for kind, n in zip(KINDS, (p, q, big_p, big_q), strict=True) for k in range(1, n + 1)]
    parameters = np.asarray([*mean, *beta, *arma, found["sigma2"]], dtype=np.float64)
    fitted = Fitted(((p, d, q), (big_p, big_d, big_q)), season, scale, parameters, found["code"] == 0)
    return fitted if _sound(fitted, y, x) else None


def forecasts(model: Fitted, y: Float, x: Float, cutoffs: Sequence[int], ahead: Sequence[Float]) -> Float:
    """Forecasts ``(O, H)`` in raw units from each of the rows ``cutoffs``, seeing rows up to and including it.

    Args:
        y: raw values ``(T,)``, NaN where missing.
        x: regressors ``(T, K)``.
        cutoffs: rows of y, O of them.
        ahead: the regressors ``(H, K)`` of the H steps after each cutoff.
    """
    from statsmodels.tsa.statespace import kalman_filter as kalman

    space = _space(y / model.scale, x, model.season, model.orders)
    space.ssm.set_conserve_memory(
        kalman.MEMORY_CONSERVE & ~kalman.MEMORY_NO_PREDICTED_MEAN  # the predicted states are all that is needed
    )
    states = space.filter(model.parameters, return_ssm=True).predicted_state  # (S, T+1): column t has seen rows < t
    transition, weights = space.ssm["transition"], [space.ssm["design"][0]]
    for _ in range(len(ahead[0]) - 1):
        weights.append(weights[-1] @ transition)
    by_step, beta = np.stack(weights), model.parameters[: space.k_exog]
    # One product per origin, never one over all: its bits must not depend on how many origins there are.
    level = [by_step @ np.ascontiguousarray(states[:, cutoff + 1]) for cutoff in cutoffs]
    effect = [_with_mean(known, model.orders) @ beta for known in ahead]
    return (np.stack(level) + np.stack(effect)) * model.scale


def _sound(fitted: Fitted, y: Float, x: Float) -> bool:
    """Whether the model forecasts the data it was fitted on, one step ahead, about as well as the season before does.

    Orders too rich for the data have roots that nearly cancel: the filter's arithmetic breaks down there, the
    likelihood looks splendid, and the forecasts are thousands of times too large.
    """
    if not np.isfinite(fitted.parameters).all():
        return False
    space = _space(y / fitted.scale, x, fitted.season, fitted.orders)
    try:
        errors = space.filter(fitted.parameters, return_ssm=True).forecasts_error[0]
    except np.linalg.LinAlgError:
        return False
    return keeps_up(errors, y / fitted.scale, fitted.season)


def _independent(x: Float) -> list[int]:
    """Columns of ``x (T, K)`` that neither a constant nor earlier columns explain; the search takes no others."""
    kept: list[int] = []
    for k in range(x.shape[1]):
        if np.linalg.matrix_rank(np.column_stack([np.ones(len(x)), x[:, [*kept, k]]])) == len(kept) + 2:
            kept.append(k)
    return kept


def _space(z: Float, x: Float, season: int, orders: Orders) -> SARIMAX:
    regressors = _with_mean(x, orders)
    return _sarimax(z, regressors if regressors.shape[1] else None, season, orders)


def _sarimax(z: Float, regressors: Float | None, season: int, orders: Orders) -> SARIMAX:
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    seasonal = (*orders[1], season if season > 1 else 0)
    return SARIMAX(z, exog=regressors, order=orders[0], seasonal_order=seasonal)


def _with_mean(x: Float, orders: Orders) -> Float:
    """Regressors with a constant in front where nothing is differenced: the model has no other mean."""
    return x if orders[0][1] + orders[1][1] else np.column_stack([np.ones(len(x)), x])


def _quiet() -> None:
    """Silence remarks of the optimisers that ``Fitted.converged`` or a better start already answers.

    The filters stay, as ``warnings.catch_warnings`` is not safe where models are fitted in threads.
    """
    for message in (
        "Non-(stationary|invertible) starting",  # statsmodels replaced its starting values
        "Too few observations to estimate starting",  # the same
        "possible convergence problem: minimize",  # one candidate of statsforecast's search
        "Stepwise search was stopped early",  # by BOUNDS
        "The chosen seasonal unit root test encountered an error",  # the search goes on without that difference
        "The design matrix is rank-deficient",  # of a candidate that differences a regressor away: a starting value
    ):
        warnings.filterwarnings("ignore", message, UserWarning)
