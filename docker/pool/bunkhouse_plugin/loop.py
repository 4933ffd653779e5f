"""Our share of supervisord's loop: waking it in time, timers, and things to do soon.

supervisord polls for up to a second, and Python goes on polling after a signal (PEP 475), so an exit would be noticed up
to a second late. Here every signal, SIGCHLD above all, also writes a byte into a socket pair the loop polls
(`signal.set_wakeup_fd`), and the next timer is an interval timer, whose SIGALRM does the same. supervisord asks every
dispatcher `readable()` right before it polls: that is where the timer is set.
"""

import atexit
import heapq
import itertools
import signal
import socket
import time
import traceback
from collections import deque

from supervisor.medusa import asyncore_25 as asyncore

ALMOST_NOW = 0.0002
# supervisord polls for a second at the most. Past this, something held us: the disk, or the machine was suspended.
HELD_SECONDS = 2.0
# Timers that are kept before anybody looks whether most of them were cancelled.
FEW_TIMERS = 128


class Timer:
    """A call to come; `cancel` takes it back."""

    def __init__(self, when, call):
        self.when = when
        self.call = call

    def cancel(self):
        self.call = None


class Dispatcher:
    """A file descriptor read by supervisord's loop."""

    def __init__(self, sock, logger):
        self.socket = sock
        self.logger = logger
        asyncore.socket_map[sock.fileno()] = self

    def readable(self):
        return True

    def writable(self):
        return False

    def handle_write_event(self):
        pass

    def handle_error(self):
        """An exception from the handler is logged, and the descriptor goes on being read."""
        self.logger.error(f"bunkhouse: {traceback.format_exc()}")

    def forget(self):
        """Lets go of descriptors that somebody else has closed, before their numbers are used again."""
        asyncore.socket_map.pop(self.socket.fileno(), None)
        self.socket.detach()

    def close(self):
        asyncore.socket_map.pop(self.socket.fileno(), None)
        self.socket.close()


class Loop(Dispatcher):
    def __init__(self, logger):
        reader, self._writer = socket.socketpair()
        reader.setblocking(False)
        self._writer.setblocking(False)
        super().__init__(reader, logger)
        self._soon = deque()
        self._timers = []
        self._most_timers = FEW_TIMERS
        self._order = itertools.count()
        self._forked = False
        self._handled = False
        self._asked = time.monotonic()
        self.held = lambda seconds: None  # called when we were held for so long
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGALRM, lambda *_: None)
        # Python's end puts the handler away, and the next alarm would then kill what has ended well.
        atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)

    def soon(self, call):
        """Calls it in the next turn of the loop, outside whatever is going on now."""
        self._soon.append(call)
        self.wake()

    def at(self, when, call):
        """Calls it at `when` (time.monotonic). Returns the Timer."""
        timer = Timer(when, call)
        if len(self._timers) >= self._most_timers:
            self._forget_all_cancelled()
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    def now(self):
        """time.monotonic(), asked in every turn: so it is noticed, and told before anybody acts on it, that there were none for a while."""
        now, before = time.monotonic(), self._asked
        self._asked = now
        if now - before > HELD_SECONDS:
            self.logger.warn(f"bunkhouse: held for {now - before:.1f} s")
            self.held(now - before)
        return now

    def wake(self):
        """Makes the coming poll return at once."""
        try:
            self._writer.send(b"\0")
        except BlockingIOError:
            pass  # full of bytes that wake it just as well

    def may_fork(self):
        """True once per turn: a fork costs milliseconds, and thirty in one turn would hold the loop. If not, wakes the next turn."""
        if self._forked:
            self.wake()
            return False
        self._forked = True
        return True

    def guard(self, call, *args):
        """Runs it; an exception is logged instead of ending supervisord."""
        try:
            call(*args)
        except Exception:
            self.handle_error()

    def forget(self):
        super().forget()
        self._writer.detach()

    # Called by supervisord

    def readable(self):
        """Asked before each poll, and once more after each event: only the first begins a turn."""
        if self._handled:
            self._handled = False
            return True
        self._forked = False
        self.now()
        self._forget_cancelled()
        if self._soon:
            self.wake()
        elif self._timers:
            wait = self._timers[0][0] - time.monotonic()
            signal.setitimer(signal.ITIMER_REAL, max(wait, ALMOST_NOW))
        return True

    def handle_read_event(self):
        self._handled = True
        self.socket.recv(4096)
        for _ in range(len(self._soon)):
            self.guard(self._soon.popleft())
        for timer in self._take_due(self.now()):
            if timer.call is not None:
                self.guard(timer.call)

    def _take_due(self, now):
        """All at once: a call that asks for another one in the past gets it in the next turn."""
        due = []
        while self._timers and self._timers[0][0] <= now:
            due.append(heapq.heappop(self._timers)[2])
        return due

    def _forget_cancelled(self):
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)

    def _forget_all_cancelled(self):
        """Also those that are not due for long: almost every deadline is met, and taken back."""
        self._timers = [entry for entry in self._timers if entry[2].call is not None]
        heapq.heapify(self._timers)
        self._most_timers = max(FEW_TIMERS, 2 * len(self._timers))
