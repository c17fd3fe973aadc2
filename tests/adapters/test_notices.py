"""Notices, to a real webhook and a real mail server of this machine."""

from __future__ import annotations

import json
import logging
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from daycast.adapters.notices import Notice, configured, log, tell
from daycast.errors import ConfigError, ToolError

NOTICE = Notice(
    "daycast: cta failed", "expected: 7,639 days\nfound: 7,638", "http://there/run/1", "daycast status", ("rail", "bus")
)


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[int]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]  # type: ignore[misc]
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def webhook() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(500 if self.path == "/broken" else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return None

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield port, told


class Mail(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as a client needs to hand a message over."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        letters: list[bytes] = []
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                while (text := self.rfile.readline()) != b".\r\n":
                    letters.append(text)
                self.server.letters.append(b"".join(letters).decode())  # type: ignore[attr-defined]
            self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
            if verb == b"QUIT":
                return


@pytest.fixture
def mail() -> Iterator[tuple[int, list[str]]]:
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail)
    server.letters = []  # type: ignore[attr-defined]
    with serving(server) as port:
        yield port, server.letters  # type: ignore[attr-defined]


def test_a_webhook_and_a_mailbox_are_told_the_cause_the_link_and_what_to_run(
    webhook: tuple[int, list[dict[str, Any]]], mail: tuple[int, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (hook, told), (smtp, letters) = webhook, mail
    letter = f"mailto://127.0.0.1:{smtp}?from=daycast@example.org&to=team@example.org&mode=insecure"
    monkeypatch.setenv("DAYCAST_NOTIFY_URLS", f"json://127.0.0.1:{hook}/here {letter}")
    assert tell(NOTICE) == 2
    assert told[0]["title"] == NOTICE.title
    for text in (told[0]["message"], letters[0]):
        for line in (*NOTICE.cause.splitlines(), "series: rail, bus", f"see: {NOTICE.link}", f"run: {NOTICE.command}"):
            assert line in text
    assert "To: team@example.org" in letters[0]
    assert f"Subject: {NOTICE.title}" in letters[0]


def test_one_place_that_refuses_does_not_keep_the_notice_from_the_others(
    webhook: tuple[int, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, told = webhook
    places = f"json://127.0.0.1:{port}/broken json://127.0.0.1:{port}/here"
    monkeypatch.setenv("DAYCAST_NOTIFY_URLS", places)
    with pytest.raises(ToolError, match="1 did not"):
        tell(NOTICE)
    assert len(told) == 2


def test_nobody_is_told_where_no_place_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAYCAST_NOTIFY_URLS", raising=False)
    assert configured() == []
    assert tell(NOTICE) == 0


def test_an_address_that_is_none_is_named_without_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAYCAST_NOTIFY_URLS", "nonsense://me:hush@there")
    with pytest.raises(ConfigError, match="number 1") as error:
        tell(NOTICE)
    assert "hush" not in str(error.value)


def test_the_log_has_a_notice_as_a_line_of_json_whatever_else_is_silenced(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.CRITICAL)
    try:
        log(NOTICE)
        log(NOTICE)
    finally:
        root.setLevel(before)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2  # one each
    told = json.loads(lines[1])
    assert (told["title"], told["cause"], told["link"]) == (NOTICE.title, NOTICE.cause, NOTICE.link)
    assert (told["command"], told["series"]) == (NOTICE.command, ["rail", "bus"])
