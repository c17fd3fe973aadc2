"""Whether MLflow answers at all, told within seconds."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from daycast.errors import ToolError

LIMIT_S = 10.0
PORTS = {"http": 80, "https": 443}


def require_answer(uri: str) -> None:
    """Do nothing if MLflow's server or database can be reached.

    MLflow's own client finds out too, but only after it has tried for minutes.

    Raises:
        ToolError: it can't.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    parts = urlsplit(uri)
    try:
        if parts.scheme in PORTS:
            socket.create_connection((parts.hostname or "", parts.port or PORTS[parts.scheme]), LIMIT_S).close()
            return
        engine = create_engine(uri)
        try:
            engine.connect().close()
        finally:
            engine.dispose()
    except (OSError, ValueError, SQLAlchemyError) as error:
        raise ToolError(
            f"MLflow's registry at {parts.scheme}://{parts.hostname or parts.path}",
            f"no answer: {str(error).strip().splitlines()[0]}",
            "check MLFLOW_TRACKING_URI, and that the server or database there is up",
        ) from error
