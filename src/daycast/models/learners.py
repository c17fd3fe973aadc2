"""What a tabular model learns with: rows of features to deviations or probabilities. Letters of ``core.tabular``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from daycast.core.forecast import Arrays
from daycast.core.frame import Float
from daycast.core.tabular import CODES
from daycast.errors import ModelError
from daycast.models.budget import Clock, OverBudgetError

if TYPE_CHECKING:
    from daycast import config
    from daycast.models.context import BuildContext


class Learner(Protocol):
    """Learns once, then answers.

    Attributes:
        dummies: whether it needs categories as one-hot columns.
    """

    dummies: ClassVar[bool]

    def learn(self, x: Float, y: Float, names: tuple[str, ...], clock: Clock) -> bool:
        """Learn from rows ``x (R, P)``, NaN where not told, with features ``names``, and deviations ``y (R,)``, R > 0.

        Returns:
            Whether it was done in time. Where not, it answers with what it has learned until then.
        """
        ...

    def answer(self, x: Float) -> Float:
        """Deviations ``(R,)``."""
        ...

    def state(self) -> Arrays:
        """All that was learned."""
        ...

    def restore(self, arrays: Arrays) -> None:
        """Take back what ``state`` gave."""
        ...


class Trees:
    """Gradient-boosted trees by LightGBM, the mean of ``bags`` seeds.

    The clock is asked after each tree. When the time is up, the trees that are there answer, one at least.
    """

    dummies: ClassVar[bool] = False

    def __init__(self, config: config.LightGbm, context: BuildContext) -> None:
        self._config, self._context = config, context
        self._boosters: list[Any] = []

    def learn(self, x: Float, y: Float, names: tuple[str, ...], clock: Clock) -> bool:
        """As ``Learner``."""
        import lightgbm

        in_time = True

        def ask(state: Any) -> None:
            nonlocal in_time
            try:
                clock.check()
            except OverBudgetError:
                in_time = False
                raise lightgbm.callback.EarlyStopException(state.iteration, []) from None

        c = self._config
        values = {
            "objective": {"mae": "l1", "mse": "l2", "huber": "huber"}[c.loss],
            "learning_rate": c.learning_rate,
            "num_leaves": c.leaves,
            "min_data_in_leaf": c.min_leaf,
            "feature_fraction": c.feature_share,
            "bagging_fraction": c.row_share,
            "bagging_freq": 1,
            "num_threads": self._context.trainer.threads,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        coded = [name for name in CODES if name in names]
        data = lightgbm.Dataset(x, y, feature_name=list(names), categorical_feature=coded)
        self._boosters = []
        for seed in range(self._context.seed, self._context.seed + c.bags):
            if in_time:
                self._boosters.append(lightgbm.train({**values, "seed": seed}, data, c.rounds, callbacks=[ask]))
        return in_time

    def answer(self, x: Float) -> Float:
        """As ``Learner``."""
        threads = self._context.trainer.threads
        with _sound():
            made = [booster.predict(x, num_threads=threads) for booster in self._boosters]
        return np.asarray(np.mean(made, axis=0))

    def state(self) -> Arrays:
        """LightGBM's own text of each booster, as bytes."""
        texts = [booster.model_to_string() for booster in self._boosters]
        return {f"{bag}": np.frombuffer(text.encode(), dtype=np.uint8) for bag, text in enumerate(texts)}

    def restore(self, arrays: Arrays) -> None:
        """As ``Learner``."""
        import lightgbm

        texts = [arrays[f"{bag}"].tobytes().decode() for bag in range(len(arrays))]
        with _sound():
            self._boosters = [lightgbm.Booster(model_str=text) for text in texts]


@contextmanager
def _sound() -> Iterator[None]:
    """LightGBM's own error is of no kind that anybody else's is."""
    from lightgbm.basic import LightGBMError

    try:
        yield
    except LightGBMError as error:
        raise ModelError(
            "a booster that LightGBM can read, and features as it learned them",
            str(error),
            "restore the model's files as they were, or fit it again",
        ) from error


class Ridge:
    """Ridge regression by scikit-learn, one for each step ahead, on scaled features; NaN counts as the mean.

    The clock is asked before each step. Those that are not learned in time, or have no row to learn from, answer 0, so
    that the profile is forecast.
    """

    dummies: ClassVar[bool] = True

    def __init__(self, config: config.Linear | config.Logistic, context: BuildContext) -> None:
        self._penalty, self._horizon = config.penalty, context.horizon
        self._learned: Arrays = {}  # mean, scale and weight (H, P), intercept (H,)

    def learn(self, x: Float, y: Float, names: tuple[str, ...], clock: Clock) -> bool:
        """As ``Learner``; the first feature is the step."""
        from sklearn import preprocessing

        steps, features = self._horizon, len(names)
        self._learned = {
            "mean": np.zeros((steps, features)),
            "scale": np.ones((steps, features)),
            "weight": np.zeros((steps, features)),
            "intercept": np.full(steps, self._without(y)),
        }
        for step in np.unique(x[:, 0]).astype(int):
            try:
                clock.check()
            except OverBudgetError:
                return False
            rows = x[:, 0] == step
            with np.errstate(invalid="ignore"):  # a feature that no row tells has no mean, and counts as told nowhere
                scaler = preprocessing.StandardScaler().fit(x[rows])
            found = (scaler.mean_, scaler.scale_, *self._solved(np.nan_to_num(scaler.transform(x[rows])), y[rows]))
            for part, value in zip(self._learned.values(), found, strict=True):
                part[step - 1] = value
        return True

    def _without(self, y: Float) -> float:  # noqa: ARG002
        """The intercept of a step that has no weights, where ``y`` is what all steps learn from."""
        return 0.0

    def _solved(self, x: Float, y: Float) -> tuple[Float, float]:
        """Weights and intercept of one step."""
        from sklearn.linear_model import Ridge as Solver

        model = Solver(alpha=self._penalty * len(y)).fit(x, y)
        return model.coef_, model.intercept_

    def answer(self, x: Float) -> Float:
        """As ``Learner``."""
        step = x[:, 0].astype(int) - 1
        scaled = np.nan_to_num((x - self._learned["mean"][step]) / self._learned["scale"][step])
        return np.asarray((scaled * self._learned["weight"][step]).sum(axis=1) + self._learned["intercept"][step])

    def state(self) -> Arrays:
        """As ``Learner``."""
        return self._learned

    def restore(self, arrays: Arrays) -> None:
        """As ``Learner``."""
        self._learned = arrays


class LogOdds(Ridge):
    """Logistic regression by scikit-learn in the same form: learns from 1 and 0, and answers with probabilities."""

    def _without(self, y: Float) -> float:
        ones = y.sum()  # half a case of either kind keeps the odds finite
        return float(np.log((ones + 0.5) / (len(y) - ones + 0.5)))

    def _solved(self, x: Float, y: Float) -> tuple[Float, float]:
        from sklearn.linear_model import LogisticRegression

        if y.sum() in (0, len(y)):  # nothing to tell apart
            return np.zeros(x.shape[1]), self._without(y)
        model = LogisticRegression(C=1 / (self._penalty * len(y)), max_iter=1000).fit(x, y)
        return model.coef_[0], float(model.intercept_[0])

    def answer(self, x: Float) -> Float:
        """Probabilities ``(R,)``."""
        from scipy.special import expit

        return np.asarray(expit(super().answer(x)))


FAMILIES: dict[str, type[Trees] | type[Ridge]] = {"lightgbm": Trees, "linear": Ridge, "logistic": LogOdds}
