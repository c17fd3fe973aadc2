"""Download over HTTP(S), made to survive what servers and networks do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from daycast.adapters.sources.formats import advice
from daycast.config.dataset import Dataset, UrlSource
from daycast.errors import SourceError

OnBytes = Callable[[int, int | None], None]
"""Called while bytes arrive with (bytes so far, all of them or ``None`` if unknown); starts anew with each attempt."""

MIB = 2**20
LONGEST_WAIT_S = 60.0  # between two attempts; a server that asks for more is left alone


@dataclass(frozen=True)
class Answer:
    """What a server says about the version it sent, for asking whether there is a newer one."""

    url: str
    etag: str | None
    last_modified: str | None


class PassingError(Exception):
    """A failure that another attempt may mend; ``after``: seconds that the server asked to wait, if it did."""

    def __init__(self, found: str, after: float | None = None) -> None:
        super().__init__(found)
        self.after = after


def download(
    dataset: Dataset, source: UrlSource, part: Path, known: Answer | None, on_bytes: OnBytes | None
) -> Answer | None:
    """Write the payload to ``part``; ``None`` if the server says that ``known`` is still the newest.

    Redirects are followed. A payload that was packed for the way (``Content-Encoding``) is kept unpacked. Connection
    failures, timeouts, truncated answers, 429 and 5xx are tried again, after waits that double and have a random part,
    or that the server asks for.

    Raises:
        SourceError: all attempts failed, or one failed in a way that another can't mend.
    """

    doubling = wait_exponential(source.backoff_s, max=LONGEST_WAIT_S) + wait_random(0.0, source.backoff_s)

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, PassingError) and error.after is not None:
            return error.after
        return doubling(state)

    attempts = Retrying(
        stop=stop_after_attempt(source.retries + 1),
        wait=wait,
        retry=retry_if_exception_type(PassingError),
        reraise=True,
    )
    fix = f"check the address and the network and try again later, {advice(dataset.name)}"
    try:
        return attempts(_attempt, source, part, known, on_bytes, dataset.read.format == "csv.gz", fix)
    except PassingError as error:
        raise SourceError(f"a file from {source.url}", f"{error}, {source.retries + 1} times", fix) from error


def _attempt(
    source: UrlSource, part: Path, known: Answer | None, on_bytes: OnBytes | None, verbatim: bool, fix: str
) -> Answer | None:
    ask = {"User-Agent": "daycast"}
    if verbatim:  # a packed file may otherwise arrive unpacked
        ask["Accept-Encoding"] = "identity"
    if known and known.etag:
        ask["If-None-Match"] = known.etag
    if known and known.last_modified:
        ask["If-Modified-Since"] = known.last_modified
    try:
        with (
            httpx.Client(timeout=source.timeout_s, follow_redirects=True, headers=ask) as client,
            client.stream("GET", source.url) as response,
        ):
            if response.status_code == httpx.codes.NOT_MODIFIED and known:
                return None
            _check_answer(response, source, fix)
            _save(response, part, source, on_bytes, fix)
            return Answer(source.url, response.headers.get("ETag"), response.headers.get("Last-Modified"))
    except (httpx.UnsupportedProtocol, httpx.TooManyRedirects, httpx.InvalidURL) as error:
        raise SourceError(f"a file from {source.url}", _words(error), fix) from error
    except (httpx.TransportError, httpx.DecodingError) as error:
        raise PassingError(_words(error)) from error


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _check_answer(response: httpx.Response, source: UrlSource, fix: str) -> None:
    status = response.status_code
    found = f"{status} {response.reason_phrase} from {response.url}"
    if status == httpx.codes.TOO_MANY_REQUESTS or status >= 500:
        after = _retry_after(response.headers.get("Retry-After"))
        if after is None or after <= LONGEST_WAIT_S:
            raise PassingError(found, after)
        found += f", which asks to wait {after:.0f} s"
    kind = response.headers.get("Content-Type", "")
    if status == httpx.codes.OK and kind.lower().startswith(("text/html", "application/xhtml")):
        found = f"a page ({kind}), such as an error or a login page, from {response.url}"
    elif status == httpx.codes.OK:
        length = response.headers.get("Content-Length", "")
        if length.isdigit():
            _check_size(int(length), source, fix)
        return
    raise SourceError(f"a file from {source.url}", found, fix)


def _check_size(size: int, source: UrlSource, fix: str) -> None:
    if size > source.max_mib * MIB:
        raise SourceError(
            f"at most {source.max_mib:g} MiB from {source.url} (dataset.source.max_mib)",
            f"at least {size / MIB:.2f} MiB",
            f"raise source.max_mib in conf/dataset/ if that is right; {fix}",
        )


def _save(response: httpx.Response, part: Path, source: UrlSource, on_bytes: OnBytes | None, fix: str) -> None:
    length = response.headers.get("Content-Length", "")
    total = int(length) if length.isdigit() and "Content-Encoding" not in response.headers else None
    done = 0
    with part.open("wb") as file:
        for block in response.iter_bytes():
            done += len(block)
            _check_size(done, source, fix)
            file.write(block)
            if on_bytes is not None:
                on_bytes(done, total)


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait, from a number of them or a date (RFC 9110, 10.2.3); ``None`` if there is neither."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except ValueError:
        return None
