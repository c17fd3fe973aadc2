"""The way to MLflow's registry, its errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from daycast.errors import ToolError

if TYPE_CHECKING:
    from mlflow import MlflowClient


@contextmanager
def connected(uri: str) -> Iterator[MlflowClient]:
    """A client of this URI alone. Raises ``ToolError`` where MLflow or its database refuses."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield MlflowClient(uri, uri)
    except (MlflowException, SQLAlchemyError) as error:
        raise ToolError(
            f"MLflow's registry at {uri} to do what it was asked",
            str(error).strip().splitlines()[0],
            "check the model's name and version, MLFLOW_TRACKING_URI, and that the server or database there is up",
        ) from error
