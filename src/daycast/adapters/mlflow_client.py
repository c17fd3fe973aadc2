"""The way to MLflow, of runs and of registered versions alike: a client, and its errors in our words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from daycast.errors import MissingError, ToolError

if TYPE_CHECKING:
    from mlflow import MlflowClient


@contextmanager
def connected(uri: str) -> Iterator[MlflowClient]:
    """A client of this tracking URI alone, which is the registry's too.

    Raises:
        MissingError: MLflow does not have what it was asked for.
        ToolError: MLflow or its database refuses.
    """
    from mlflow import MlflowClient

    begin(uri)
    with _in_our_words(uri):
        yield MlflowClient(uri, uri)


def begin(uri: str) -> None:
    """Make an embedded database that is not there yet elsewhere, and put it in its place whole.

    MLflow makes its tables in dozens of steps, each for good, and never opens one that a kill cut off between them.

    Raises:
        ToolError: MLflow can't make it.
    """
    from sqlalchemy import make_url

    file = Path((make_url(uri).database or "") if uri.startswith("sqlite:") else "")
    if not file.name or file.exists() or not file.parent.is_dir():
        return
    from mlflow import MlflowClient

    part = file.with_name(f".{file.name}-{uuid4().hex}")
    try:
        with _in_our_words(uri):
            MlflowClient(f"sqlite:///{part}").search_experiments(max_results=1)
        with suppress(FileExistsError):  # another process was faster
            os.link(part, file)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _in_our_words(uri: str) -> Iterator[None]:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        said = str(error).strip().splitlines()[0]
        if isinstance(error, MlflowException) and error.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise MissingError(
                f"MLflow at {uri} to have what it was asked for",
                said,
                "check the name, version or id, and that MLFLOW_TRACKING_URI names the server that has it",
            ) from error
        raise ToolError(
            f"MLflow at {uri} to do what it was asked",
            said,
            "check the name, version or id, MLFLOW_TRACKING_URI, and that the server or database there is up",
        ) from error
