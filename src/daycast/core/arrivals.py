"""How old observations usually get before newer ones come, as the forecasts that were made of them tell."""

from __future__ import annotations

import pandas as pd


def usual_age(made: pd.DatetimeIndex, cutoffs: pd.DatetimeIndex, updates: int, least: int) -> int | None:
    """The age at most that the newest observation came to before a newer one came.

    A source that brings a month at once, two months late, is as punctual as one that brings a day every night.
    Forecasts of past days, as a backfill makes them, bring nothing newer and count for nothing.

    Args:
        made: when forecasts were made, local time where the data are from, and ``cutoffs``, the newest observation that
            each was made from, in the same order.
        updates: newest ones that are looked at.
        least: of them, what is needed to tell by.

    Returns:
        Whole days; ``None`` where there were too few updates.
    """
    newest = pd.Series(cutoffs.normalize(), made.normalize()).groupby(level=0).max().cummax()
    came = newest[newest.diff() != pd.Timedelta(0)]  # the first one too
    ages = (pd.DatetimeIndex(came.index[1:]) - pd.DatetimeIndex(came.iloc[:-1])).days[-updates:]
    return int(ages.max()) if len(ages) >= least else None
