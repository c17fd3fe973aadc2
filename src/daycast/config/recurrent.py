"""The section of recurrent networks, and of convolutions before or instead of their recurrence."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import Discriminator, Field, Tag, model_validator

from daycast.config.search import Searchable
from daycast.config.section import Section
from daycast.config.tabular import KNOWN, Profile
from daycast.config.transforms import Difference, Scale, TransformStep

T = TypeVar("T")
Cell = Literal[
    "rnn", "lstm", "gru", "ln_rnn", "ln_lstm", "ln_gru", "peephole_lstm", "coupled_lstm", "hard_lstm"
]  # the names of models.layers.LAYERS
Units = Annotated[int, Field(ge=1, le=2048)]
Filters = Annotated[int, Field(ge=1, le=2048)]
# One for all layers or a list with one for each. Tagged, so that a fault is told once and not once for each of the two.
PerLayer = Annotated[
    Annotated[T, Tag("<one>")] | Annotated[tuple[T, ...], Tag("<each>")],
    Discriminator(lambda value: "<each>" if isinstance(value, (list, tuple)) else "<one>"),
]


class Conv(Section):
    """A convolution with a stride, which shortens what the recurrence has to walk over."""

    kind: Literal["conv"] = Field(description="kind of front end")
    filters: Filters = Field(description="outputs per step")
    kernel: int = Field(ge=1, description="steps that one output sees")
    stride: int = Field(ge=1, description="steps between outputs")


class Dilated(Section):
    """Causal convolutions with gaps, one on the other, as WaveNet has them."""

    kind: Literal["dilated"] = Field(description="kind of front end")
    filters: Filters = Field(description="outputs per step of each convolution")
    kernel: int = Field(ge=2, description="steps that one output of a convolution sees")
    dilations: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        min_length=1, description="one convolution for each: steps between the steps that it sees"
    )


Front = Annotated[Conv | Dilated, Field(discriminator="kind")]


class Recurrent(Searchable):
    """A recurrent network: an encoder over the lookback, then a head or a decoder over the horizon."""

    family: Literal["recurrent"] = Field(description="kind of model")
    cell: PerLayer[Cell] = Field(description="recurrent layer: one kind, or a list with one per layer")
    output: Literal["direct", "heads", "seq2seq", "dense", "every_step"] = Field(
        description="direct: one head reads the last state for every step; heads: the same, with a map of each step's "
        "own; seq2seq: a decoder walks over the horizon; dense: one linear map of the last state gives all steps, "
        "without known features of theirs; every_step: the same map at every step of the lookback, trained on the "
        "horizon after each"
    )
    horizon: int | None = Field(
        ge=1, description="steps ahead forecast at once, iterated beyond; null for the backtest's horizon"
    )
    inputs: Literal["joint", "each"] = Field(
        description="joint: all series are one multivariate sample; each: one global model, a sample per series"
    )
    lookback: int = Field(ge=1, description="input steps")
    lead: Literal[0, 1] = Field(
        description="known features beside each input step: 0 its own, 1 those of the step after it"
    )
    embedding: int = Field(
        ge=0,
        le=64,
        description="inputs each: size of a vector learned for each series; a new one gets their mean; 0: none",
    )
    front: Front | None = Field(description="convolutions between the inputs and the recurrence; null for none")
    hidden: PerLayer[Units] = Field(description="units: of every layer, or a list with one per layer")
    layers: int = Field(ge=0, le=8, description="stacked recurrent layers; 0 with a dilated front: no recurrence")
    bidirectional: bool = Field(description="the encoder reads the lookback in both directions, with units for each")
    teacher_forcing: float = Field(
        ge=0, le=1, description="seq2seq: share of training steps whose decoder is told the true value before"
    )
    attention: Literal["dot", "additive"] | None = Field(
        description="seq2seq: how the decoder looks back at the encoder's outputs; null for not at all"
    )
    dropout: float = Field(ge=0, lt=1, description="share of units dropped between layers and before the head")
    transforms: tuple[TransformStep, ...] = Field(description="applied in this order to y, inverted in the other")
    known: tuple[str, ...] | None = Field(description=KNOWN)
    profile: Profile | None = Field(
        description="learn deviations from it, told with signals; null: the values themselves"
    )
    clip: float = Field(gt=0, description="with a profile: signals are held within so many times their typical size")
    loss: Literal["huber", "mae", "mse", "mape", "pinball", "gaussian", "student_t"] = Field(
        description="training loss, in transformed units; mape (a share) needs transforms that leave values positive; "
        "the last three learn a distribution, of which the median or location is the forecast"
    )
    quantiles: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        description="levels in (0, 1) of the pinball loss, ascending, with 0.5; [] with any other loss"
    )
    learning_rate: float = Field(gt=0, description="peak step size of AdamW")
    weight_decay: float = Field(ge=0, description="AdamW weight decay")
    schedule: Literal["cosine", "constant"] = Field(
        description="step size by epoch: down from learning_rate to 0 along a cosine over max_epochs, or constant"
    )
    weights: Literal["best", "last"] = Field(
        description="kept of the epoch of least validation loss, or of the last of all max_epochs, without patience"
    )
    batch_size: int = Field(ge=1, description="windows per training step")
    train_steps: int | None = Field(ge=1, description="most recent timestamps to learn from; null for all")

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Recurrent:
        faults = [*self._layer_faults(), *self._output_faults(), *self._loss_faults(), *self._transform_faults()]
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _layer_faults(self) -> list[str]:
        faults = []
        for name, value in (("cell", self.cell), ("hidden", self.hidden)):
            if isinstance(value, tuple) and len(value) != self.layers:
                faults.append(f"{name}: expected one value or a list of {self.layers}, one per layer, found {value}")
        cells, hidden = self.cell, self.hidden
        pairs = zip(
            cells if isinstance(cells, tuple) else [cells] * self.layers,
            hidden if isinstance(hidden, tuple) else [hidden] * self.layers,
            strict=False,
        )
        if any(cell.startswith("ln_") and units < 2 for cell, units in pairs):
            faults.append("hidden: of a single unit layer normalisation leaves nothing; expected 2 at least")
        if not self.layers and not isinstance(self.front, Dilated):
            faults.append("layers: 0 leaves no network without a front of kind `dilated`")
        if not self.layers and self.bidirectional:
            faults.append("bidirectional: expected false, as there is no recurrence with layers 0")
        if isinstance(self.front, Conv) and self.front.kernel > self.lookback:
            faults.append(f"front.kernel: {self.front.kernel} steps do not fit into the lookback of {self.lookback}")
        if self.embedding and self.inputs == "joint":
            faults.append("embedding: expected 0 with inputs joint, where no sample is of one series")
        return faults

    def _output_faults(self) -> list[str]:
        faults = []
        if self.output == "every_step" and self.bidirectional:
            faults.append("bidirectional: with output every_step a step would be told the values that it forecasts")
        if self.output == "seq2seq" and not self.layers:
            faults.append("output: seq2seq needs a recurrence, whose states the decoder carries on")
        if self.output != "seq2seq" and self.teacher_forcing:
            faults.append(f"teacher_forcing: expected 0 with output {self.output}, which has no decoder")
        if self.output != "seq2seq" and self.attention is not None:
            faults.append(f"attention: expected null with output {self.output}, which has no decoder")
        return faults

    def _loss_faults(self) -> list[str]:
        levels, faults = self.quantiles, []
        if self.loss == "pinball" and (levels != tuple(sorted(set(levels))) or 0.5 not in levels):
            faults.append(f"quantiles: the pinball loss needs ascending levels with 0.5 among them, found {levels}")
        if self.loss != "pinball" and levels:
            faults.append(f"quantiles: expected [] with loss {self.loss}, found {levels}")
        kept = all(isinstance(step, Scale) and step.method in ("none", "mean") for step in self.transforms)
        if self.loss == "mape" and (self.profile is not None or not kept):
            faults.append(
                "loss: mape needs values that stay positive: no profile, and of transforms only scales by `mean` or "
                "`none` (minmax would make the least value 0)"
            )
        return faults

    def _transform_faults(self) -> list[str]:
        if self.profile is not None and any(isinstance(step, Difference) for step in self.transforms):
            return ["transforms: no difference beside a profile, which takes levels away already"]
        if self.transforms and isinstance(self.transforms[-1], Difference):
            return ["transforms: the last one must be a scale, or the network sees raw units"]
        return []

    def unlearned(self, levels: tuple[float, ...]) -> list[float]:
        """Those of ``levels`` that its pinball loss does not hold: another loss learns all of them, or none."""
        return [level for level in levels if level not in self.quantiles] if self.loss == "pinball" else []

    def distributional(self, horizon: int) -> bool:
        """Whether it learns quantiles that hold in raw units at each of ``horizon`` steps.

        Not where it is iterated to get there, or a decoder was taught with the truth, as what it then sees are its own
        forecasts; nor through a difference at a lag below the horizon, as the quantiles of sums are not the sums of
        quantiles.
        """
        lags = [lag for step in self.transforms if isinstance(step, Difference) for lag in step.lags]
        learns = self.loss in ("pinball", "gaussian", "student_t")
        taught = self.output == "seq2seq" and self.teacher_forcing > 0
        return learns and not taught and min([self.steps(horizon), *lags]) >= horizon

    def steps(self, horizon: int) -> int:
        """Steps ahead that one forecast gives where the backtest's horizon is ``horizon``."""
        return horizon if self.horizon is None else self.horizon
