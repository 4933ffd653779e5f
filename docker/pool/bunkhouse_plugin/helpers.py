"""Work that would hold the loop, done in a forked helper process.

Forked and not executed anew: it costs two milliseconds instead of fifty, needs no arguments that others could read in a
process list, and it cannot be traced or signalled by a bot, because its real uid stays supervisord's.
"""

import json
import os
import signal
import time
from collections import deque

from . import children
from .faults import INTERNAL, Fault, from_oserror
from .promise import Promise


class Helpers:
    """Runs at most `limit` helpers at once; the others wait their turn."""

    def __init__(self, options, loop, limit):
        self._options = options
        self._loop = loop
        self._free = limit
        self._waiting = deque()

    def run(self, what, work, seconds):
        """Promise of what `work()` returns in a helper (small, as JSON), rejected with its Fault. `what` names it in errors.

        Past `seconds` the helper is killed and the promise rejected.
        """
        promise = Promise()
        self._waiting.append((what, work, seconds, promise))
        self._next()
        return promise

    def _next(self):
        if not self._waiting or self._free == 0:
            return
        if not self._loop.may_fork():
            self._loop.soon(self._next)
            return
        what, work, seconds, promise = self._waiting.popleft()
        self._free -= 1
        promise.then(self._freed)
        try:
            helper = _Helper(what, work, promise, self._loop)
        except OSError as error:
            promise.reject(from_oserror(error, f"cannot start a helper to {what}"))
            return
        self._options.pidhistory[helper.pid] = helper
        helper.kill_at(time.monotonic() + seconds)

    def _freed(self, _):
        self._free += 1
        self._loop.soon(self._next)


class _Helper:
    """One running helper. supervisord reaps it and calls `finish`."""

    def __init__(self, what, work, promise, loop):
        self._what, self._promise, self._loop = what, promise, loop
        self._late = False
        parent = os.getpid()
        self._pipe, answer = os.pipe()
        try:
            self.pid = children.fork()
        except OSError:
            os.close(self._pipe)
            raise
        finally:
            if os.getpid() == parent:
                os.close(answer)
        if self.pid == 0:
            _work(work, answer, parent)

    def kill_at(self, when):
        self._timer = self._loop.at(when, self._kill)

    def finish(self, pid, status):
        self._timer.cancel()
        self._loop.soon(self._report)

    def _report(self):
        answer = os.read(self._pipe, 1 << 16)
        os.close(self._pipe)
        if not answer:
            why = "took too long" if self._late else "ended without an answer"
            self._promise.reject(Fault(INTERNAL, f"the helper to {self._what} {why}"))
            return
        answer = json.loads(answer)
        if "fault" in answer:
            self._promise.reject(Fault(answer["fault"], answer["text"]))
        else:
            self._promise.resolve(answer["value"])

    def _kill(self):
        self._late = True
        os.kill(self.pid, signal.SIGKILL)


def _work(work, answer, parent):
    """The helper's whole life; never returns."""
    code = 1
    try:
        os.dup2(answer, 3)
        children.close_from(4)
        children.die_with(parent)
        os.write(3, json.dumps(_outcome(work)).encode())
        code = 0
    finally:
        os._exit(code)


def _outcome(work):
    try:
        return {"value": work()}
    except Fault as fault:
        return {"fault": fault.code, "text": fault.text}
    except OSError as error:
        return {"fault": INTERNAL, "text": from_oserror(error, "the system refused").text}
    except Exception as error:
        return {"fault": INTERNAL, "text": f"{type(error).__name__}: {error}"}
