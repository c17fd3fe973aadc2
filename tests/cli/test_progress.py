"""What people see of the work: bars on a terminal, lines in a log, nothing when they asked for nothing."""

from __future__ import annotations

import io
import re
import signal

import pytest
from rich.console import Console

from daycast.cli import console, interrupt
from daycast.cli.progress import shown
from daycast.steps import progress
from daycast.steps.progress import emit

MODELS = [f"model_{i}" for i in range(40)]


def run(terminal: bool, quiet: bool = False) -> str:
    """What is written of forty models' searches and fits."""
    written = io.StringIO()
    to = Console(file=written, force_terminal=terminal, width=100, height=24, highlight=False, markup=False)
    with shown(to, quiet):
        for name in MODELS:
            emit("tune", name, 0, 0, "running")
            for trial in range(1, 51):
                emit("tune", name, trial, 50, f"trial {trial} of 50, model=[gru]")
            emit("tune", name, 1, 1, "done")
        emit("fit", "gru", 0, 0, "running")
        emit("fit", "gru", 1, 1, "done")
        emit("backtest", "gru", 1, 1, "unchanged, taken from the cache")
    return written.getvalue()


def test_on_a_terminal_what_has_ended_becomes_one_line_with_a_tick() -> None:
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", run(terminal=True))
    for name in MODELS:
        assert len(re.findall(rf"✓ tune {name} +trial 50 of 50, model=\[gru\]  0 s", text)) == 1
    assert len(re.findall(r"✓ fit gru +done", text)) == 1
    assert len(re.findall(r"✓ backtest gru +unchanged, taken from the cache", text)) == 1


def test_on_a_terminal_bars_of_ended_work_do_not_pile_up() -> None:
    text = run(terminal=True)
    up = [int(n or 1) for n in re.findall(r"\x1b\[(\d*)A", text)]
    assert max(up, default=0) <= 3  # lines that are drawn anew: the running work, not the forty models


def test_in_a_log_there_is_a_line_at_most_for_each_tenth() -> None:
    lines = run(terminal=False).splitlines()
    of_one = [line for line in lines if line.startswith("tune model_7:")]
    assert len(of_one) == 11
    assert of_one[0] == "tune model_7: running"
    assert of_one[-1] == "tune model_7: trial 50 of 50, model=[gru]"
    assert "\x1b" not in "".join(lines)


def test_quiet_writes_nothing() -> None:
    assert run(terminal=True, quiet=True) == run(terminal=False, quiet=True) == ""


def test_a_terminal_without_unicode_gets_plain_letters() -> None:
    written = io.BytesIO()
    to = Console(file=io.TextIOWrapper(written, encoding="ascii"), force_terminal=True, width=100, markup=False)
    with shown(to, quiet=False):
        emit("tune", "gru", 1, 2, "trial 1 of 2")
        emit("fit", "gru", 1, 1, "done")
    to.file.flush()
    assert b"ok fit gru" in re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", written.getvalue())


def test_text_with_brackets_comes_out_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    console.line("daycast run model=[gru] > /data/[a]/b")
    console.heading("Champion of model=[naive]")
    console.facts({"file": "/data/[b]/c", "rows": 1234567, "changed": True})
    out = capsys.readouterr().out
    assert "daycast run model=[gru] > /data/[a]/b\n" in out
    assert "Champion of model=[naive]" in out
    assert "/data/[b]/c" in out
    assert "1,234,567" in out
    assert "True" in out


def test_machines_get_null_for_what_is_not_finite(capsys: pytest.CaptureFixture[str]) -> None:
    console.machine({"a": float("nan"), "b": [float("inf"), 1.5]})
    assert capsys.readouterr().out.split() == ["{", '"a":', "null,", '"b":', "[", "null,", "1.5", "]", "}"]


def test_work_that_shall_stop_stops_where_it_tells_its_progress() -> None:
    progress.stopping.set()
    try:
        with pytest.raises(KeyboardInterrupt):
            emit("fit", "gru", 1, 2)
    finally:
        progress.stopping.clear()
    emit("fit", "gru", 1, 2)


def test_the_signals_of_before_are_back_when_nothing_was_interrupted() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interrupt.handled():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
