"""The code of every registered version: MLflow copies this file into the version and runs it to load the model.

It is not imported by the package: it gives MLflow a model as soon as it runs. All it does is hand over to
``daycast.steps.serving`` of the daycast that is installed where the model is loaded.
"""

from pathlib import Path
from typing import Any

import mlflow.models
import mlflow.pyfunc
import pandas as pd


class ServedModel(mlflow.pyfunc.PythonModel):
    """``predict(frame, params={"horizon": H})``; see ``daycast.steps.serving`` for both tables."""

    def load_context(self, context: mlflow.pyfunc.PythonModelContext) -> None:
        """Read the forecaster, its frame's meaning and its quantile offsets."""
        from daycast.steps import serving

        self._served = serving.read(Path(context.artifacts["forecaster"]), Path(context.artifacts["serving"]))

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Forecast ``params["horizon"]`` steps; the signature holds its default."""
        from daycast.steps import serving

        return serving.forecast(self._served, model_input, int((params or {})["horizon"]))


mlflow.models.set_model(ServedModel())
