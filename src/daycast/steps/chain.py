"""The fallback chain: champion, former champions, best baseline, seasonal naive; a forecast whatever happens.

Each rank that does not load, raises, or breaks the output contract leaves its reason behind, and the next one has its
turn. The last needs no registry and no model's files: it looks up the values of a season ago.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from daycast.adapters import registry
from daycast.config import Dataset, compose, config_hash
from daycast.core import forecast as core
from daycast.core import history, parts
from daycast.core.forecast import Origin
from daycast.core.frame import Panel, Table
from daycast.errors import DaycastError, HistoryError, ToolError
from daycast.models.baselines import seasonal_naive
from daycast.settings import Settings
from daycast.steps import serving
from daycast.steps.champion import CHAMPION, present, whole
from daycast.steps.data import arrays
from daycast.steps.reference import DataRef, VersionRef
from daycast.steps.register import BASELINE, DATA_UNTIL
from daycast.steps.shelf import kept

PREVIOUS, BEST_BASELINE, NAIVE = "previous_champion", "baseline", "seasonal_naive"  # ranks after the champion, in order
NO_VERSION = "none"  # version and run of what is in no registry
UNKNOWN = "unknown"  # configuration of a version whose tag somebody took away, which is no reason not to forecast
Load = Callable[[], registry.Loaded]


@dataclass(frozen=True)
class Made:
    """Forecast rows, and what made them.

    Attributes:
        rows: ``unique_id, cutoff, ds, step, y_hat``, quantiles, raw units; they keep the output contract.
        panel: the history that they follow.
        by: the version; role: its rank.
        run_id, config_hash: of the run that made the version.
        reasons: why the ranks before did not, in their order.
        loaded: the champion itself, if it was it; ``None`` for all others.
    """

    rows: pd.DataFrame
    panel: Panel
    by: VersionRef
    role: str
    run_id: str
    config_hash: str
    reasons: tuple[str, ...] = ()
    loaded: registry.Loaded | None = None


@dataclass(frozen=True)
class Asked:
    """What is to be forecast.

    Attributes:
        horizon: steps ahead; ``None`` for what the version was judged on.
        late: whether newer data should have come, so that as many steps more are forecast as have gone by since.
    """

    dataset: Dataset
    data: DataRef
    horizon: int | None = None
    late: bool = False

    def steps(self, own: int, known: Table) -> int:
        """How many steps a version forecasts whose ``own`` horizon is given, from data with a calendar."""
        wanted = own if self.horizon is None else self.horizon
        gone = self.gone(known) if self.late else 0
        return min(wanted + gone, len(known.beyond.ds)) if gone < len(known.beyond.ds) else wanted

    def gone(self, known: Table) -> int:
        """Timestamps after the last observation that lie before today."""
        return int((known.beyond.ds < pd.Timestamp(self.dataset.today())).sum())


def by_version(settings: Settings, asked: Asked, which: str) -> Made:
    """The forecast of one version, by its number or alias, and of no other. Raises what goes wrong."""
    name = registry.model_name(asked.dataset.name)
    return _forecast(settings, asked, CHAMPION, registry.load(settings.tracking_uri, name, which))


def by_first_that_can(settings: Settings, asked: Asked) -> Made:
    """The forecast of the first rank that can.

    Raises:
        DataError: there are no data, or none was observed.
        HistoryError: the prepared calendar ends before the horizon.
        ModelError: not even the seasonal naive can.
    """
    known = arrays(settings, asked.dataset.spec(), asked.data)
    if asked.horizon is not None and not 1 <= asked.horizon <= len(known.beyond.ds):
        raise HistoryError(
            f"a horizon from 1 to {len(known.beyond.ds)}, where the prepared calendar ends",
            f"horizon {asked.horizon}",
            "ask for a shorter horizon, or raise `calendar.future_steps` in conf/dataset/ and prepare again",
        )
    reasons: list[str] = []
    for role, version, load in _ranks(settings, asked.dataset.name, reasons):
        try:
            made = _forecast(settings, asked, role, load())
        except Exception as error:  # noqa: BLE001  # whatever it is, somebody else can forecast
            reasons.append(f"{role.replace('_', ' ')}, version {version}: {_told(error)}")
        else:
            return replace(made, reasons=tuple(reasons))
    made = _naive(settings, asked, known, reasons)
    return replace(made, reasons=tuple(reasons))


def _ranks(settings: Settings, dataset: str, reasons: list[str]) -> Iterator[tuple[str, str, Load]]:
    """Rank, version and how to load it, first to last; why the registry has none goes to ``reasons``."""
    uri, name, tried = settings.tracking_uri, registry.model_name(dataset), set[str]()
    try:
        registry.require_answer(uri)
        found = {v.number: v for v in registry.versions(uri, name)}
        lines = present(whole(settings, dataset), found.values())
    # Asked once: each more question to a server in trouble takes minutes. Nothing that stands there may end the chain.
    except Exception as error:  # noqa: BLE001
        reasons.append(f"registry: {_told(error)}")
        yield CHAMPION, "kept here", lambda: kept(settings, dataset, None)
        return
    champion = next((n for n, v in found.items() if CHAMPION in v.aliases), None)
    if champion is None:
        reasons.append("champion: there is none")
    else:
        yield CHAMPION, champion, lambda: _champion(settings, dataset, found[champion], reasons)
        tried.add(champion)
    former = [n for n in history.former(lines, champion) if n in found]
    for role, number in [(PREVIOUS, n) for n in former] + [(BEST_BASELINE, n) for n in _baselines(found)[:1]]:
        if number not in tried:
            tried.add(number)
            yield role, number, lambda number=number: registry.load(uri, name, number)  # type: ignore[misc]


def _baselines(found: dict[str, registry.Version]) -> list[str]:
    """Numbers of the naive versions, those of the newest data first: each was the best one of its run."""
    own = [n for n in found if BASELINE in found[n].tags]
    return sorted(own, key=lambda n: (found[n].tags.get(DATA_UNTIL, ""), int(n)), reverse=True)


def _champion(settings: Settings, dataset: str, version: registry.Version, reasons: list[str]) -> registry.Loaded:
    """The champion, from the copy kept here if its files can't be had."""
    try:
        return registry.load(settings.tracking_uri, version.name, version.number)
    except (ToolError, OSError) as error:
        reasons.append(f"champion, version {version.number}: {_told(error)}")
        loaded = kept(settings, dataset, version)
        reasons[-1] += "; the copy of its files that is kept here serves"
        return loaded


def _forecast(settings: Settings, asked: Asked, role: str, loaded: registry.Loaded) -> Made:
    """What a version forecasts."""
    tags, served = loaded.version.tags, serving.of_version(loaded.folder)
    known = arrays(settings, served.spec, asked.data)
    steps = asked.steps(int(tags["daycast.horizon"]), known)
    rows = core.check(serving.from_table(served, known, steps), len(known.panel.ids) * steps, asked.dataset.floor)
    by = VersionRef(name=loaded.version.name, version=loaded.version.number, model=tags["daycast.model"])
    own = (tags["daycast.run_id"], tags.get("daycast.config_hash", UNKNOWN))
    return Made(rows, known.panel, by, role, *own, loaded=loaded if role == CHAMPION else None)


def _naive(settings: Settings, asked: Asked, known: Table, reasons: list[str]) -> Made:
    """The values of a season ago, of every series that has any; without quantiles, as its errors are not measured."""
    config = compose(settings.root, [f"dataset={asked.dataset.name}"], fitting=False)
    y = known.panel.y
    seen = np.concatenate([np.isfinite(y[some]).any(axis=1) for some in parts.rows(len(y))])
    panel = known.panel if seen.all() else known.panel.only(tuple(np.asarray(known.panel.ids)[seen].tolist()))
    if not seen.all():
        reasons.append(f"{int((~seen).sum())} of {len(seen)} series are left out, as they have no observation at all")
    steps, floor = asked.steps(config.backtest.horizon, known), asked.dataset.floor
    made = seasonal_naive(panel.y, asked.dataset.season_length, steps)
    rows = core.rows(
        (made if floor is None else np.maximum(made, floor))[None], [Origin(panel, known.future(panel.cutoff, steps))]
    )
    by = VersionRef(name=registry.model_name(asked.dataset.name), version=NO_VERSION, model=NAIVE)
    return Made(core.check(rows, len(panel.ids) * steps, floor), panel, by, NAIVE, NO_VERSION, config_hash(config))


def _told(error: Exception) -> str:
    """In a line."""
    said = f"{error.expected}; found: {error.found}" if isinstance(error, DaycastError) else str(error)
    return f"{type(error).__name__}: {' '.join(said.split())}"
