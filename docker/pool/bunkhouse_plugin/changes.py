"""What changed, and who waits to hear of it."""

import time
from dataclasses import dataclass

from .promise import Promise

LONGEST_WAIT_SECONDS = 60
MOST_WAITERS = 64
MOST_REMEMBERED = 2000


@dataclass(frozen=True)
class _Waiter:
    cursor: int
    promise: Promise
    timer: object


class Changes:
    def __init__(self, incarnation, loop):
        self._incarnation, self._loop = incarnation, loop
        # Later than any cursor of an earlier supervisord, so that those are told apart; safe as a JavaScript number.
        self.cursor = self._floor = int(time.time() * 1000)
        self._latest = {}
        self._waiters = []
        self._telling = False

    def touch(self, bot):
        """Something about the bot is worth a look."""
        self.cursor += 1
        self._latest.pop(bot, None)
        self._latest[bot] = self.cursor
        if len(self._latest) > MOST_REMEMBERED:
            oldest = next(iter(self._latest))
            self._floor = self._latest.pop(oldest)
        if not self._telling:
            self._telling = True
            self._loop.soon(self._tell)

    def wait(self, cursor, seconds):
        """Promise of a WaitResult: at once when there are changes after `cursor` or it is not one of ours."""
        waiter = _Waiter(cursor, Promise(), None)
        if cursor != self.cursor:
            self._answer(waiter)
            return waiter.promise
        until = time.monotonic() + min(seconds, LONGEST_WAIT_SECONDS)
        waiter = _Waiter(cursor, waiter.promise, self._loop.at(until, lambda: self._expire(waiter)))
        self._waiters.append(waiter)
        if len(self._waiters) > MOST_WAITERS:
            self._expire(self._waiters[0])
        return waiter.promise

    def _tell(self):
        """Once for all changes of one turn of the loop."""
        self._telling = False
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            self._answer(waiter)

    def _expire(self, waiter):
        self._waiters.remove(waiter)
        self._answer(waiter)

    def _answer(self, waiter):
        if waiter.timer is not None:
            waiter.timer.cancel()
        foreign = not self._floor <= waiter.cursor <= self.cursor
        changed = [bot for bot, at in self._latest.items() if foreign or at > waiter.cursor]
        waiter.promise.resolve({"incarnation": self._incarnation, "cursor": self.cursor, "changed": changed})
