"""The supervisor of a folder: its configuration, and what it is told and asked."""

from __future__ import annotations

import hashlib
import os
import shlex
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daycast.adapters.supervision.processes import MARK, STOP_S, end, leftovers
from daycast.errors import ToolError

ROOM = Path("/tmp")  # of sockets
ENDED_S = 60.0
BETWEEN_S = 0.2


@dataclass(frozen=True)
class Program:
    """A process to keep running.

    Attributes:
        name: what it is, one word.
        command: program and arguments.
        automatic: whether it is started with the supervisor, and not by ``start``.
    """

    name: str
    command: tuple[str, ...]
    automatic: bool = True


@dataclass(frozen=True)
class Watched:
    """A process as supervisord sees it, for ``seconds`` in its ``state`` such as ``RUNNING``; ``pid`` 0 is none."""

    name: str
    state: str
    pid: int
    seconds: int


def launch(folder: Path, programs: Sequence[Program], environment: Mapping[str, str], at: Path) -> int:
    """Start the supervisor in the background, with the programs that start with it; its process id.

    Args:
        folder: for its configuration and all logs.
        environment: of the processes, beside this process's own.
        at: their working directory.

    Raises:
        ToolError: it did not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "supervisord.conf"
    config.write_text("\n".join(_configuration(folder, programs, at)), encoding="utf-8")
    _socket(folder).unlink(missing_ok=True)  # of one that was killed
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(config)],
        env={**os.environ, **environment, MARK: str(folder)},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    deadline = time.monotonic() + ENDED_S
    while done.returncode == 0 and time.monotonic() < deadline:
        if (pid := alive(folder)) is not None:
            return pid
        time.sleep(BETWEEN_S)
    raise ToolError("supervisord to start", done.stdout.strip() or "silence", f"see {folder / 'supervisord.log'}")


def alive(folder: Path) -> int | None:
    """Process id of the supervisor of this folder, or ``None`` if none answers."""
    try:
        with _connected(folder) as supervisor:
            return int(supervisor.getPID())
    except OSError:
        return None


def watched(folder: Path) -> list[Watched]:
    """All processes, in the order in which they were given. Raises ``ToolError`` if the supervisor is gone."""
    try:
        with _connected(folder) as supervisor:
            told = supervisor.getAllProcessInfo()
    except OSError as error:
        raise ToolError("the supervisor to answer", str(error), "`daycast down`, then `daycast up` again") from error
    return [
        Watched(p["name"], p["statename"], p["pid"], max(0, p["now"] - p["start"]) if p["start"] else 0) for p in told
    ]


def start(folder: Path, name: str) -> None:
    """Start a program that does not start by itself; one that runs already is left alone.

    Raises:
        ToolError: it ended at once.
    """
    from xmlrpc.client import Fault

    from supervisor.xmlrpc import Faults

    with _connected(folder) as supervisor:
        try:
            supervisor.startProcess(name)
        except Fault as fault:
            if fault.faultCode != Faults.ALREADY_STARTED:
                raise ToolError(f"{name} to start", fault.faultString, f"see {log_file(folder, name)}") from fault


def log_file(folder: Path, name: str) -> Path:
    """What a program wrote, both streams."""
    return folder / f"{name}.log"


def stop(folder: Path) -> int:
    """End the supervisor and every process below it, whatever state they are in; how many had to be ended one by one.

    A worker's runs are in sessions of their own, out of a supervisor's reach, and outlive it if it is killed. All
    carry its mark, so that none is missed.

    Raises:
        ToolError: some process does not end.
    """
    from xmlrpc.client import Fault

    pid = alive(folder)
    if pid is not None:
        try:
            with _connected(folder) as supervisor:
                supervisor.shutdown()
        except (Fault, OSError):
            pass  # it is ending already
        _wait(lambda: not _exists(pid), ENDED_S)
    left = leftovers(folder)
    end(left)
    if still := leftovers(folder):
        names = ", ".join(f"{p.pid} ({' '.join(p.cmdline()[:4])})" for p in still)
        raise ToolError("all processes to end", f"still there: {names}", "end them by `kill -9`")
    return len(left)


def _configuration(folder: Path, programs: Sequence[Program], at: Path) -> Iterator[str]:
    def told(text: object) -> str:
        return str(text).replace("%", "%%")

    # Names of files are relative to the folder it is started in: a % in an absolute one would be read twice.
    yield f"[unix_http_server]\nfile={told(_socket(folder))}\nchmod=0700"
    yield "[supervisord]\nlogfile=supervisord.log\npidfile=supervisord.pid\nlogfile_maxbytes=5MB\nlogfile_backups=1"
    if os.geteuid() == 0:
        yield "user=root"  # on purpose, or it warns that nobody said so
    yield "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface"
    for number, program in enumerate(programs):
        yield f"[program:{program.name}]\ncommand={told(shlex.join(program.command))}\npriority={number}"
        yield f"directory={told(at)}"
        yield f"autostart={str(program.automatic).lower()}\nautorestart=true\nstartsecs=2\nstartretries=5"
        yield f"stopasgroup=true\nkillasgroup=true\nstopwaitsecs={STOP_S}"
        yield f"redirect_stderr=true\nstdout_logfile={log_file(folder, program.name).name}"
        yield "stdout_logfile_maxbytes=10MB\nstdout_logfile_backups=2"
    yield ""


def _socket(folder: Path) -> Path:
    # Not in the folder, whose path may be longer than the 107 bytes that the address of a socket may have, nor below
    # TMPDIR, which a service manager may set otherwise than a shell.
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    own = ROOM / f"daycast-{os.geteuid()}"
    own.mkdir(mode=0o700, exist_ok=True)
    found = own.lstat()
    if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode) or stat.S_IMODE(found.st_mode) & 0o077:
        # Whoever may write there could answer in the supervisor's place.
        raise ToolError(f"{own} to be a folder of this user's alone", stat.filemode(found.st_mode), "remove it")
    return own / f"{name}.sock"


@contextmanager
def _connected(folder: Path) -> Iterator[Any]:
    from xmlrpc.client import ServerProxy

    from supervisor.xmlrpc import SupervisorTransport

    transport = SupervisorTransport(serverurl=f"unix://{_socket(folder)}")
    try:
        yield ServerProxy("http://127.0.0.1", transport=transport).supervisor
    finally:
        transport.close()


def _wait(until: Any, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not until():
        if time.monotonic() > deadline:
            return False
        time.sleep(BETWEEN_S)
    return True


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
