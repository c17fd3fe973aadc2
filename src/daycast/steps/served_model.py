"""The code of every registered version: MLflow copies this file into the version and runs it to load the model.

It is not imported by the package: it gives MLflow a model as soon as it runs. All it does is hand over to
``daycast.steps.serving`` of the daycast that is installed where the model is loaded, and say what went wrong in the
words that MLflow's scoring server understands: a request that can't be answered ends in 400 with the reason, a fault of
the model in 500. What it does not know, the server takes for the request's fault.
"""

import os
import threading
from pathlib import Path
from typing import Any

import mlflow.models
import mlflow.pyfunc
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE


class ServedModel(mlflow.pyfunc.PythonModel):
    """``predict(frame, params={"horizon": H})``; see ``daycast.steps.serving`` for both tables."""

    def load_context(self, context: mlflow.pyfunc.PythonModelContext) -> None:
        """Read the forecaster, its frame's meaning and its quantile offsets."""
        from daycast.steps import serving

        self._served = serving.read(Path(context.artifacts["forecaster"]), Path(context.artifacts["serving"]))
        self._turn = threading.Lock()  # the server asks from many threads; no forecaster promises to bear that

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Forecast ``params["horizon"]`` steps; the signature holds its default.

        Raises:
            MlflowException: INVALID_PARAMETER_VALUE if the table or the horizon can't be forecast from, else
                INTERNAL_ERROR.
        """
        from daycast.errors import DataError
        from daycast.steps import serving

        try:
            with self._turn:
                rows = serving.forecast(self._served, model_input, (params or {}).get("horizon"))
        except DataError as error:
            raise MlflowException(str(error), INVALID_PARAMETER_VALUE) from error
        except Exception as error:
            raise MlflowException(f"{type(error).__name__}: {error}", INTERNAL_ERROR) from error
        if os.environ.get("_MLFLOW_IS_IN_SERVING_ENVIRONMENT") == "true":  # it would write NaN, which is no JSON
            return rows.astype(object).where(rows.notna(), None)
        return rows


mlflow.models.set_model(ServedModel())
