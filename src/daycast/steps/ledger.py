"""The ledger of a dataset: kept up as actuals come, and read."""

from __future__ import annotations

import pandas as pd

from daycast.adapters import registry, store
from daycast.config import Config, Dataset
from daycast.core import ledger as core
from daycast.core.frame import Panel
from daycast.errors import ToolError
from daycast.settings import Settings
from daycast.steps import champion
from daycast.steps.register import DATA_UNTIL, when


def keep(settings: Settings, config: Config, panel: Panel, data_version: str) -> tuple[int, int]:
    """Give every forecast row whose value has come its error; how many, and how many anew as values were revised.

    Rows that have theirs are left alone, so doing it again, or twice at once, changes nothing.

    Raises:
        ToolError: the store can't be read or written.
    """
    dataset = config.dataset
    late = (config.monitoring.late_steps * pd.tseries.frequencies.to_offset(dataset.freq) + panel.cutoff) - panel.cutoff
    with store.opened(settings.store_url) as engine:
        return store.judge(
            engine,
            dataset.name,
            panel.cutoff,
            late.to_pytimedelta(),
            data_version,
            lambda rows: core.judged(rows, panel),
        )


def read(settings: Settings, dataset: Dataset, until: pd.Timestamp, since: pd.Timestamp | None = None) -> pd.DataFrame:
    """The ledger's rows of target days up to ``until``, of each cutoff those of the version that served.

    Rows of versions that had seen something after their cutoffs tell nothing of how they forecast, and are left out:
    `daycast forecast --as-of` makes such. A version that is gone, or does not say, is believed, and so are all while
    MLflow does not answer: alarms have to be raised on such days too.
    """
    with store.opened(settings.store_url) as engine:
        sums = store.read_ledger(engine, dataset.name, since)
        made, came = store.witnessed(engine, dataset.name)
    try:
        registry.require_answer(settings.tracking_uri)
        found = registry.versions(settings.tracking_uri, registry.model_name(dataset.name))
    except ToolError:
        found = []
    # By their runs too: numbers start anew in another registry.
    seen = {(v.number, v.tags.get("daycast.run_id")): when(v.tags, DATA_UNTIL) for v in found}
    by = zip(sums["model_version"], sums["run_id"], strict=True)
    of = pd.Series([seen.get(one) for one in by], index=sums.index, dtype="datetime64[ns]")
    sums = sums[(of.isna() | (of <= sums["cutoff"])) & (sums["ds"] <= until)]
    served = core.serving(sums, made, came, champion.moves(settings, dataset.name))
    return served.sort_values(["cutoff", "ds"], ignore_index=True)
