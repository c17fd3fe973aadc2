"""The stages of one model as tasks: one task each, or, on a cluster, one for each piece of the work and one to join.

A model whose result is kept is taken from there by the same one task, wherever it runs.
"""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

from prefect.futures import PrefectFuture

from daycast.config import Config
from daycast.steps import keys, pieces
from daycast.steps import search as searching
from daycast.steps.reference import BacktestRef, DataRef, FittedRef, FoldsRef, FoundRef, PartRef, Piece, TunedRef
from flows import fitting
from flows.keeping import is_kept
from flows.tokens import placed

T = TypeVar("T")
Future: TypeAlias = PrefectFuture[T]


class Stages:
    """Submits the stages of models that are made of no others.

    Attributes:
        before: futures of pieces and searches, which fail before those that wait for them do.
    """

    def __init__(self, config: Config, data: DataRef, folds: FoldsRef) -> None:
        self.config, self.data, self.folds = config, data, folds
        self.before: list[Future[Any]] = []
        self._found: dict[str, Future[FoundRef]] = {}
        self._parts: dict[str, list[Future[PartRef]]] = {}  # of the test fold

    def tune(self, name: str, windows: Future[Any]) -> Future[TunedRef]:
        """The search and the validation score."""
        given = self.config, self.data, self.folds
        cut = [] if self._kept("tune", name) else [p for p in self._pieces(name) if p.fold != self.folds.test.name]
        with placed(self.config, name):
            workers = [] if self._kept("tune", name) else self._workers(name, windows)
            if not cut:
                return fitting.tune.submit(*given, windows, wait_for=workers)
            self._found[name] = found = fitting.find.submit(*given, windows, wait_for=workers)
            parts = [fitting.part.submit(*given, found, piece) for piece in cut]
        self.before += [found, *parts]
        return fitting.tune.submit(*given, windows, found, parts)

    def fit(self, name: str, tuned: Future[TunedRef]) -> Future[FittedRef]:
        """The final fit; its pieces wait for the search alone."""
        given = self.config, self.data, self.folds
        cut = [] if self._kept("fit", name) else [p for p in self._pieces(name) if p.fold == self.folds.test.name]
        with placed(self.config, name):
            if not cut:
                return fitting.fit.submit(*given, tuned)
            self._parts[name] = [fitting.part.submit(*given, self._found.get(name, tuned), piece) for piece in cut]
        self.before += self._parts[name]
        return fitting.fit.submit(*given, tuned, self._parts[name])

    def backtest(self, name: str, fitted: Future[FittedRef], tuned: Future[TunedRef]) -> Future[BacktestRef]:
        """The forecasts of the test fold, which pieces by series have made already."""
        parts = self._parts.get(name, [])
        return fitting.backtest.submit(self.config, self.data, self.folds, fitted, tuned, parts)

    def _workers(self, name: str, windows: Future[Any]) -> list[Future[None]]:
        """Those who share a search; none where one task does it alone."""
        n = self.config.tuning.workers
        if n == 1 or not searching.searched(self.config, name):
            return []
        given = self.config, self.data, self.folds
        begun = fitting.begin.submit(*given, windows)
        made = [fitting.search.submit(*given, begun, worker) for worker in range(n)]
        self.before += [begun, *made]
        return made

    def _pieces(self, name: str) -> list[Piece]:
        runner = self.config.runner
        return pieces.divided(self.config, self.folds, name, runner.series_per_task) if runner.kind == "dask" else []

    def _kept(self, step: str, name: str) -> bool:
        """Whether there is nothing to divide, as the result is there; asked only where it could be divided."""
        if self.config.runner.kind != "dask" and self.config.tuning.workers == 1:
            return False
        return is_kept(step, getattr(keys, step)(self.config, self.data, name))
