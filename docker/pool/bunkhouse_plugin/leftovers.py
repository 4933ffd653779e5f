"""Ending what is left of a bot: after its process exited, before it is started, and from an earlier supervisord.

Runs in a helper process, because it looks through /proc and waits for the dead.
"""

import os
import signal
import time
from dataclasses import dataclass

from . import procfs

PATIENCE_SECONDS = 10


@dataclass(frozen=True)
class Marks:
    """How a bot's processes are told from others. With a uid of its own that is all it takes."""

    variables: tuple  # "NAME=value" that they all have in their environment
    uid: int | None
    pid: int | None
    start: int | None
    owner: int | None = None  # where the uid does not tell them: the user they share with others; None: ours


def end(marks):
    """Kills everything that bears the marks and waits for it to be gone. Returns the pids that would not die."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        alive = _find(marks)
        if not alive or time.monotonic() > deadline:
            return alive
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.005)


def _find(marks):
    mine = {os.getpid(), os.getppid()}
    owner = next(uid for uid in (marks.uid, marks.owner, os.geteuid()) if uid is not None)
    session = _session(marks)
    entries = {variable.encode() for variable in marks.variables}
    found = []
    for pid in procfs.pids():
        if pid in mine or owner not in _owners(pid):
            continue
        stat = procfs.stat(pid)
        if stat is None or stat.state in "ZX":
            continue
        if marks.uid is not None or stat.session == session or entries <= set(procfs.environ(pid)):
            found.append(pid)
    return found


def _session(marks):
    """The session the bot's process led, unless its number now belongs to another process.

    The kernel does not give a number out again while a session bears it, so without a leader the session is still the bot's.
    """
    if marks.pid is None:
        return None
    leader = procfs.stat(marks.pid)
    return marks.pid if leader is None or leader.start == marks.start else None


def _owners(pid):
    """Its real, effective, saved and file system uid: a setuid program that a bot runs is the bot's as well."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            line = next(line for line in file if line.startswith(b"Uid:"))
    except OSError:
        return ()
    return tuple(map(int, line.split()[1:]))
