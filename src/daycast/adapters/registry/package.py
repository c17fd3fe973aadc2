"""A fitted forecaster as an MLflow model: written from code and files, read back, proven by an example."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from daycast.errors import DaycastError, ModelError

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel
    from mlflow.models import ModelSignature
    from mlflow.pyfunc import PyFuncModel

ALWAYS = ("daycast", "numpy", "pandas", "pydantic", "safetensors")
# Looser than float64, so that a network may use another kernel; far tighter than any wrong weight or input.
TOLERANCE = 1e-6
# What code that is run from a file, on files, may raise beside our own errors.
FAULTS = (ArithmeticError, AttributeError, ImportError, LookupError, OSError, RuntimeError, TypeError, ValueError)


STORED, INPUTS, EXPECTED = "stored", "inputs.parquet", "forecast.parquet"  # what the version forecast when it was made
HORIZON = "horizon"  # column of the forecast
LARGEST = 20_000  # rows of an example that is kept beside the model


@dataclass(frozen=True)
class Example:
    """A forecast that the version must give again.

    Attributes:
        inputs: the model's input, as the served code takes it.
        horizon: steps ahead; also the default of the version's parameter ``horizon``.
        expected: the forecaster's own forecast of it.
    """

    inputs: pd.DataFrame
    horizon: int
    expected: pd.DataFrame


@dataclass(frozen=True)
class Candidate:
    """A fitted forecaster on disk.

    Attributes:
        code: the Python file that MLflow runs to load it (its "models from code").
        files: name -> file or folder that the code reads; the base names differ.
        example: a forecast it must give again.
        libraries: packages it needs beside ``ALWAYS``, such as ``torch``.
        summary: Markdown of 5000 characters at most, for people, shown as the version's description.
    """

    code: Path
    files: Mapping[str, Path]
    example: Example
    libraries: tuple[str, ...] = ()
    summary: str = ""


def write(folder: Path, candidate: Candidate, entry: LoggedModel, run_id: str) -> None:
    """Write an MLflow model into ``folder``, which must not exist."""
    from mlflow.models import Model

    example = candidate.example
    small = len(example.inputs) <= LARGEST
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*An input example was not provided", UserWarning)
        _pyfunc().save_model(
            folder,
            python_model=candidate.code,
            artifacts={name: str(path) for name, path in candidate.files.items()},
            signature=_signature(example),
            # MLflow keeps it as JSON: of a large panel, that would outweigh the model many times.
            input_example=(example.inputs, {"horizon": example.horizon}) if small else None,
            # A local part such as +cpu names a build that no index has.
            pip_requirements=[f"{p}=={installed(p).partition('+')[0]}" for p in (*ALWAYS, *candidate.libraries)],
            mlflow_model=Model(
                artifact_path=entry.artifact_location,
                run_id=run_id,
                model_uuid=entry.model_id,
                model_id=entry.model_id,
            ),
        )

    (folder / STORED).mkdir()
    example.inputs.to_parquet(folder / STORED / INPUTS)
    example.expected.assign(**{HORIZON: example.horizon}).to_parquet(folder / STORED / EXPECTED)


def stored(folder: Path) -> Example:
    """The example that an MLflow model was written with. Raises ``ModelError`` if it has none, as older ones."""
    try:
        inputs, expected = (pd.read_parquet(folder / STORED / name) for name in (INPUTS, EXPECTED))
        return Example(inputs, int(expected.pop(HORIZON).iloc[0]), expected)
    except (OSError, LookupError, ValueError) as error:
        raise ModelError(f"a stored forecast in {folder / STORED}", f"{error}", "register the model again") from error


def read(folder: Path) -> PyFuncModel:
    """Load an MLflow model.

    Raises:
        ModelError: it can't be loaded.
    """
    from mlflow.exceptions import MlflowException

    try:
        return _pyfunc().load_model(str(folder))
    except (MlflowException, *FAULTS) as error:
        raise ModelError(
            f"a model in {folder} that loads",
            f"{type(error).__name__}: {error}",
            "check that the daycast installed is the one in its requirements.txt, or promote another version",
        ) from error


def prove(model: PyFuncModel, example: Example) -> None:
    """Raise ``ModelError`` unless the model gives the example's forecast, to a relative 1e-6."""
    from mlflow.exceptions import MlflowException

    fix = "no version was made: check that the model's state() and restore() keep all that fit() learned"
    expected = example.expected
    try:
        found: Any = model.predict(example.inputs, params={"horizon": example.horizon})
    except (MlflowException, DaycastError, *FAULTS) as error:
        raise ModelError("the loaded model to forecast its example", f"{type(error).__name__}: {error}", fix) from error
    if list(found.columns) != list(expected.columns) or len(found) != len(expected):
        want, got = f"{len(expected)} rows of {list(expected.columns)}", f"{len(found)} rows of {list(found.columns)}"
        raise ModelError(f"{want} from the loaded model", got, fix)
    numbers = expected.select_dtypes("number").columns
    rest = expected.columns.difference(numbers)
    if not found[rest].reset_index(drop=True).equals(expected[rest].reset_index(drop=True)):
        raise ModelError(f"the same {list(rest)} from the loaded model", "others", fix)
    a, b = found[numbers].to_numpy(dtype=np.float64), expected[numbers].to_numpy(dtype=np.float64)
    if not np.allclose(a, b, rtol=TOLERANCE, atol=0.0, equal_nan=True):  # a series without a band has none twice
        worst = float(np.max(np.abs(a - b)))
        raise ModelError("the forecaster's own forecast from the loaded model", f"differences up to {worst:g}", fix)


def _pyfunc() -> ModuleType:
    """``mlflow.pyfunc``, without what its import says about type hints of its own."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*Any type hint is inferred as AnyType", UserWarning)
        import mlflow.pyfunc
    return mlflow.pyfunc


def _signature(example: Example) -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    kinds = {"f": "double", "i": "long", "b": "boolean", "M": "datetime"}

    def schema(frame: pd.DataFrame) -> Schema:
        return Schema([ColSpec(kinds.get(kind.kind, "string"), str(name)) for name, kind in frame.dtypes.items()])

    horizon = ParamSpec("horizon", DataType.long, example.horizon)
    return ModelSignature(schema(example.inputs), schema(example.expected), ParamSchema([horizon]))
