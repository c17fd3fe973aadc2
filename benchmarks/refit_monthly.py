"""P3 with models refitted each month beside the same models fitted once: Chicago's rail and bus, one seed each.

Nothing else differs: the configured values, the same targets (June 2019 to February 2020) and the same seed. The last
lines are the plain mean of the models.

    python benchmarks/refit_monthly.py --horizon 1     # in a project folder where dataset=cta was prepared
"""

from __future__ import annotations

import argparse

import pandas as pd

from daycast import models, settings
from daycast.config import compose
from daycast.core import backtest
from daycast.core.bootstrap import mae_interval
from daycast.core.split import history
from daycast.steps.data import in_force, table
from daycast.steps.forecaster import context
from daycast.steps.split import split

FIRST, LAST = pd.Timestamp("2019-06-01"), pd.Timestamp("2020-02-29")
MODELS = ("gru_one_step", "gru_profile", "gru_profile_long", "lightgbm", "lightgbm_long")


def forecasts(name: str, horizon: int, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
    """Rows of a model fitted on all before ``first``, of targets up to ``last``."""
    here = settings.load()
    told = [
        "dataset=cta",
        f"model=[seasonal_naive,{name}]",
        "backtest=p3",
        f"backtest.horizon={horizon}",
        f"backtest.fit_cutoff={first - pd.Timedelta(days=1):%Y-%m-%d}",
        f"backtest.first_target={first:%Y-%m-%d}",
        f"backtest.last_target={last:%Y-%m-%d}",
    ]
    config = compose(here.root, told)
    data = in_force(here, "cta")
    whole, fold = table(here, config, data), split(here, config, data).test.fold()
    model = models.build(config.model[name], context(config, config.seed))
    model.fit(history(whole, fold))
    return backtest.with_actuals(backtest.forecasts(model, whole, fold), whole)


def months(name: str, horizon: int) -> pd.DataFrame:
    """The same with a fit before each month, whose origins lie in it or on the day before."""
    parts = []
    for start in pd.date_range(FIRST, LAST, freq="MS"):
        end = min(LAST, start + pd.offsets.MonthEnd() + pd.Timedelta(days=horizon - 1))
        parts.append(forecasts(name, horizon, start, end))
    return pd.concat(parts)


def told(name: str, rows: pd.DataFrame) -> None:
    for series, own in rows.groupby("unique_id"):
        step = own[own["step"] == 1]
        (low, high), first = mae_interval(own), (step["y"] - step["y_hat"]).abs().mean()
        mean = (own["y"] - own["y_hat"]).abs().mean()
        print(
            f"{name:28s} {series:5s} {first:8,.0f} {mean:8,.0f}  ({low:,.0f}-{high:,.0f})  {len(own)} rows", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--horizon", type=int, default=1, help="steps ahead (default 1)")
    parser.add_argument("--models", nargs="+", default=MODELS, help=f"(default {' '.join(MODELS)})")
    args = parser.parse_args()
    keys = ["unique_id", "cutoff", "ds", "step", "y"]
    made: dict[str, list[pd.DataFrame]] = {"once": [], "monthly": []}
    print(f"{'':28s} {'':5s} {'MAE +1':>8s} {'mean':>8s}")
    for name in args.models:
        for how, rows in (
            ("once", forecasts(name, args.horizon, FIRST, LAST)),
            ("monthly", months(name, args.horizon)),
        ):
            made[how].append(rows.set_index(keys)["y_hat"])
            told(f"{name} {how}", rows)
    for how, parts in made.items():
        together = pd.concat(parts, axis=1)
        assert together.notna().all().all(), "all models forecast the same rows"
        told(f"their mean {how}", together.mean(axis=1).rename("y_hat").reset_index())


if __name__ == "__main__":
    main()
