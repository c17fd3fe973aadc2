"""The way to MLflow's registry, its errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from daycast.errors import MissingError, ToolError

if TYPE_CHECKING:
    from mlflow import MlflowClient


@contextmanager
def connected(uri: str) -> Iterator[MlflowClient]:
    """A client of this URI alone.

    Raises:
        MissingError: MLflow does not have what it was asked for.
        ToolError: MLflow or its database refuses.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield MlflowClient(uri, uri)
    except (MlflowException, SQLAlchemyError) as error:
        said = str(error).strip().splitlines()[0]
        if isinstance(error, MlflowException) and error.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise MissingError(
                f"MLflow's registry at {uri} to have what it was asked for",
                said,
                "check the model's name and version, and that MLFLOW_TRACKING_URI names the server that has it",
            ) from error
        raise ToolError(
            f"MLflow's registry at {uri} to do what it was asked",
            said,
            "check the model's name and version, MLFLOW_TRACKING_URI, and that the server or database there is up",
        ) from error
