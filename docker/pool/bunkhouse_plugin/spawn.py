"""Where a bot's process is started: the only place. It then waits at a gate until supervisord knows it."""

import os
from dataclasses import dataclass

from . import children
from .become import become, wait_at
from .promise import Promise


@dataclass(frozen=True)
class Wait:
    """Until this zygote is ready, or cannot be any more."""

    zygote: object


@dataclass(frozen=True)
class Fork:
    """From this zygote."""

    zygote: object

    observed = {"kind": "prefork", "reason": ""}


@dataclass(frozen=True)
class Execute:
    """As a program of its own; `reason` says why it is not forked, if somebody wanted that."""

    reason: str

    @property
    def observed(self):
        """BotObservation.spawn."""
        return {"kind": "exec", "reason": self.reason}


class NotForked(Exception):
    """The zygote let us down; nothing runs. Another way may do."""


class Started:
    """A new process, a child of ours and leader of no session yet. It does nothing before `go`, and ends if that never comes."""

    def __init__(self, pid, gate):
        self.pid = pid
        self._gate = gate

    def go(self):
        """Lets it become the bot."""
        try:
            os.write(self._gate, b"!")
        except BrokenPipeError:
            pass  # it is dead already, and will be reaped as such
        os.close(self._gate)


def start(way, launch, output):
    """Promise of the Started process; `output` is the descriptor for its stdout and stderr, the caller's to close.

    Rejected with NotForked or OSError. What fails later, in the child, goes to its output, and it exits with 127.
    """
    gate, opener = os.pipe()
    try:
        pid = way.zygote.fork(launch, output, gate) if isinstance(way, Fork) else _execute(launch, output, gate, opener)
    except OSError:
        os.close(opener)
        raise
    finally:
        os.close(gate)
    return _started(pid, opener)


def _started(pid, opener):
    started = Promise()

    def settle(outcome):
        try:
            started.resolve(Started(outcome.result(), opener))
        except (NotForked, OSError) as error:
            os.close(opener)
            started.reject(error)

    pid.then(settle)
    return started


def _execute(launch, output, gate, opener):
    """Promise, already kept, of the pid."""
    forked = Promise()
    pid = children.fork()
    if pid == 0:
        os.close(opener)
        _run(launch, output, gate)
    forked.resolve(pid)
    return forked


def _run(launch, output, gate):
    try:
        wait_at(gate)
        become(launch, output)
        os.execvpe(launch.argv[0], launch.argv, launch.env)
    except BaseException as error:
        os.write(2, f"bunkhouse: cannot start {launch.argv[0]}: {error}\n".encode(errors="replace"))
    finally:
        os._exit(127)
