"""Networks as forecasters: panel → transformed windows → trained network → raw units.

Letters of ``core.frame``; channels and groups of ``core.windows``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from daycast import config
from daycast.core import parts
from daycast.core.forecast import Arrays, FitReport, OnEpoch, Origin
from daycast.core.frame import Float, Panel
from daycast.core.transform import Difference, Fitted
from daycast.core.windows import Windows
from daycast.errors import ModelError
from daycast.models import networks
from daycast.models.context import BuildContext
from daycast.models.inference import Inference
from daycast.models.networks import Network, Shape, Sizes
from daycast.models.recipe import Recipe, Transforms
from daycast.models.training import train


class NeuralForecaster:
    """A recurrent network on windows of transformed values; see ``config.Recurrent``.

    Series with gaps are forecast from their seasonally filled history; one without any observation gets NaN. With
    inputs ``each``, series may come and go after the fit. One that the fit had no value of is transformed by what its
    own history up to the origin tells, and if there is an embedding it has the mean vector.
    """

    def __init__(self, config: config.Recurrent, context: BuildContext) -> None:
        self.config, self.context = config, context
        self.recipe = Recipe.of(config, context.horizon)
        self.horizon, self.min_history = self.recipe.horizon, self.recipe.min_history
        self.takes_new_series = self.recipe.layout == "each"
        self._network: Network | None = None
        self._transforms: Transforms
        self._sizes: Sizes
        self._names: dict[str, list[str]]

    def prepare_windows(self, history: Panel) -> tuple[Fitted, Windows]:
        """The transform of y and the windows that ``fit`` would make of this history, to be kept and handed to it."""
        history = self.recipe.limited(history)
        transforms = Transforms.of(self.recipe, history)
        return transforms.y, transforms.windows(self.recipe, history)

    def fit(self, history: Panel, windows: Windows | None = None, on_epoch: OnEpoch | None = None) -> FitReport:
        """Learn from the history's last ``train_steps``; its last timestamp is the cutoff of all that is fitted.

        Args:
            windows: those of ``prepare_windows`` for this history and recipe, if they are at hand.
            on_epoch: called after each epoch; what it raises ends the fit. Meanwhile the forecaster predicts with that
                epoch's weights.

        Raises:
            ModelError: the loss is not finite, values are not positive where the loss is ``mape``, or the windows are
                of another history or recipe.
            HistoryError: too little history for training and validation windows.
        """
        history = self.recipe.limited(history)
        transforms = Transforms.of(self.recipe, history)
        if windows is None:
            windows = transforms.windows(self.recipe, history)
        self.recipe.check(windows, history)
        if self.config.loss == "mape":
            _check_positive(windows)
        sizes = _sizes(windows, numbered=self.config.embedding > 0)
        parts = windows.split(self.context.trainer.validation_steps)
        network = self._new_network(sizes)
        self._transforms, self._sizes, self._names = transforms, sizes, _names(history)
        told = None if on_epoch is None else self._shown(network, on_epoch)
        trained = train(network, self.config, self.context.trainer, parts, self.context.seed, told)
        if sizes.series:
            network.forget(np.flatnonzero(parts[0].runs.counts(sizes.series) == 0).tolist())
        self._network = network.eval()
        facts = {
            "epochs": len(trained.curves["val_loss"]),
            "best_epoch": trained.kept_epoch,
            "best_val_loss": trained.curves["val_loss"][trained.kept_epoch - 1],
            "parameters": sum(p.numel() for p in network.parameters()),
            "windows": len(parts[0]),
            "validation_windows": len(parts[1]),
            **trained.facts,
        }
        return FitReport(trained.curves, facts)

    def _shown(self, network: Network, on_epoch: OnEpoch) -> OnEpoch:
        """``on_epoch``, with a copy of the network to predict with: the one in training may be on another device."""
        shown = self._new_network(self._sizes).eval()

        def told(epoch: int, epochs: int, values: Mapping[str, float]) -> None:
            shown.load_state_dict(network.state_dict())
            self._network = shown
            on_epoch(epoch, epochs, values)

        return told

    def predict(self, origins: Sequence[Origin]) -> Float:
        """Forecasts ``(O, N, H)`` in raw units, H ≤ ``horizon``; NaN for a series never observed up to its origin.

        Always on the CPU, whatever the network was trained on.

        Raises:
            ModelError: not fitted, or fitted on other features or (with inputs ``joint``) other series.
        """
        return self._forecasts(origins, None)[..., 0]

    def quantiles(self, origins: Sequence[Origin], levels: Sequence[float]) -> Float:
        """Quantiles ``(O, N, H, Q)`` in raw units of a network that learns a distribution; else as ``predict``.

        Raises:
            ModelError: as ``predict``; or it has no distribution, or not these levels, or lags below H, as the
                quantiles of sums are not the sums of quantiles.
        """
        steps = len(origins[0].future.ds)
        short = [lag for s in self.recipe.steps if isinstance(s, Difference) for lag in s.lags if lag < steps]
        if short:
            raise ModelError(f"lags of at least {steps} steps", f"{short}", "ask for fewer steps, or fit without them")
        return self._forecasts(origins, levels)

    def _forecasts(self, origins: Sequence[Origin], levels: Sequence[float] | None) -> Float:
        """``(O, N, H, Q)``; point forecasts, Q = 1, without levels."""
        network = self._fitted()
        ids = origins[0].history.ids
        expected = self._names if self.recipe.layout == "joint" else {**self._names, "series": list(ids)}
        for origin in origins:
            if _names(origin.history) != expected:
                raise ModelError(
                    "the series and features that the model was fitted on",
                    _difference(expected, _names(origin.history)),
                    "forecast the data version the model was fitted for, or fit it again",
                )
        torch.set_num_threads(self.context.trainer.threads)
        fitted = (self.recipe, self._transforms, self._names["series"], bool(self._sizes.series))
        return Inference(network, *fitted).forecasts(origins, levels)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Transforms, sizes and names as values; the weights as arrays. Raises ``ModelError`` before ``fit``."""
        weights = self._fitted().state_dict()
        values = {"sizes": asdict(self._sizes), "names": self._names, **self._transforms.to_json()}
        return values, {name: weight.numpy() for name, weight in weights.items()}

    def restore(self, values: Mapping[str, Any], arrays: Arrays) -> None:
        """Take back what ``state`` gave. Raises ``ModelError`` on weights of another network."""
        self._transforms = Transforms.from_json(values)
        self._names = {kind: list(names) for kind, names in values["names"].items()}
        self._sizes = Sizes(**values["sizes"])
        network = self._new_network(self._sizes)
        try:
            network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in arrays.items()})
        except RuntimeError as error:
            raise ModelError(
                f"weights of a network of {self._sizes}",
                " ".join(str(error).split()),
                "restore the model's files as they were, or fit it again",
            ) from error
        self._network = network.eval()

    def _new_network(self, sizes: Sizes) -> Network:
        return networks.build(Shape.of(self.config), sizes, self.context.seed)

    def _fitted(self) -> Network:
        if self._network is None:
            raise ModelError("a fitted model", "one that is not", "call fit, or load a saved model")
        return self._network


def _sizes(windows: Windows, *, numbered: bool) -> Sizes:
    known, inputs = windows.known.shape[1], windows.inputs.shape[2]
    ahead = 0 if windows.anchors is None else windows.anchors.ahead.shape[2]
    ahead += 0 if windows.newest is None else windows.newest.before.shape[2]
    series = len(windows.inputs) if numbered else 0
    return Sizes(inputs, known + ahead, windows.static.shape[1], windows.targets, windows.horizon, series)


def _names(history: Panel) -> dict[str, list[str]]:
    return {
        "series": list(history.ids),
        "known": list(history.known_names),
        "past": list(history.past_names),
        "static": list(history.static_names),
    }


def _difference(expected: Mapping[str, list[str]], found: Mapping[str, list[str]]) -> str:
    parts = []
    for kind, names in expected.items():
        lost, added = sorted(set(names) - set(found[kind])), sorted(set(found[kind]) - set(names))
        if names != found[kind]:
            parts.append(f"{kind}: without {lost[:5]}, with {added[:5]}" if lost or added else f"{kind}: another order")
    return "; ".join(parts)


def _check_positive(windows: Windows) -> None:
    least = min(np.nanmin(windows.z[some], initial=np.inf) for some in parts.rows(len(windows.z)))
    if least <= 0:
        raise ModelError(
            "values above 0 for model.loss: mape, as shares of 0 have no end",
            f"a least one of {least:g} in transformed units",
            "choose another loss, or leave out the series that reach 0",
        )
