"""Keeps an eye on the ceilings of the bots between two measurements.

How much memory is used and how large a directory is takes time to find out, so it is found out now and then. In between,
cheap counters bound how much more it can be: growth of resident memory, and bytes written. A bot that could be near its
ceiling by them is measured at once.
"""

import itertools
import time
from dataclasses import dataclass, replace

from . import procfs
from .ceilings import NEAR, memory_used
from .disk_usage import measure
from .faults import Fault
from .helpers import Helpers
from .users import acting_as

# Each bot once in so many seconds; and one near its ceiling of memory, which may be there in no time.
LOOK_SECONDS = 1.0
LOOK_NEAR_SECONDS = 0.2
SHORTEST_TICK_SECONDS = 0.02
# Looked at in one go, and the processor time for it; what is more is the sampler's.
MOST_PROCESSES = 20
MOST_SECONDS = 0.003

DISK_SECONDS = 60.0
DISK_NEAR_SECONDS = 5.0
MEASURING_SECONDS = 50.0
# Measuring takes no more than this part of the time.
SHARE = 0.1


@dataclass
class Mark:
    """What is known of one run of a bot, and when it was found out."""

    memory_from: float = 0.0  # when memory may be measured next; infinite while it is
    disk_at: float | None = None
    disk_took: float = 0.0
    written: int = 0  # by then
    measuring: bool = False  # the directory


class Watch:
    def __init__(self, container, sampler, options):
        self._container, self._sampler = container, sampler
        # One at a time: the disk is everybody's.
        self._helpers = Helpers(options, container.loop, limit=1)
        self._marks = {}
        self._round = iter(())
        self._tick()

    def _tick(self):
        # A turn of the loop is not free among a hundred bots: none for those that have no ceiling.
        processes = [process for process in self._container.processes() if _has_ceiling(process)]
        pause = LOOK_SECONDS / max(1, len(processes))
        self._container.loop.at(time.monotonic() + max(SHORTEST_TICK_SECONDS, pause), self._tick)
        bot = next(self._round, None)
        if bot is None:
            self._marks = {process.bot: self._marks[process.bot] for process in processes if process.bot in self._marks}
            self._round = iter(processes)
            bot = next(self._round, None)
        if bot is not None and bot in processes:
            self._look_at(bot, self._marks.setdefault(bot.bot, Mark()), time.monotonic())

    def _look_at(self, bot, mark, now):
        limits = bot.spec.limits
        resident, written = self._counters(bot) if bot.pid else (0, 0)
        if limits.pss_bytes is not None and bot.pid and now >= mark.memory_from:
            if _memory_at_most(bot.allowance.used.sample, resident) > limits.pss_bytes * NEAR:
                self._sample(bot, mark, now)
        if limits.disk_bytes is not None and bot.spec.run and _is_due(bot, mark, written, now):
            self._measure(bot, mark, written)

    def _counters(self, bot):
        """Bytes in memory and bytes written, of all its processes."""
        resident = written = 0
        until = time.thread_time() + MOST_SECONDS
        with acting_as(bot.place.uid):
            for pid in itertools.islice(procfs.tree(bot.pid), MOST_PROCESSES):
                resident += procfs.resident(pid) or 0
                written += procfs.written(pid) or 0
                if time.thread_time() > until:
                    break
        return resident, written

    def _sample(self, bot, mark, began):
        mark.memory_from = float("inf")

        def done():
            now = time.monotonic()
            mark.memory_from = now + max(LOOK_NEAR_SECONDS, (now - began) / SHARE)
            self._container.loop.at(mark.memory_from, again)

        def again():
            if bot in self._container.processes():
                self._look_at(bot, mark, time.monotonic())

        self._sampler.look_now(bot, done)

    def _measure(self, bot, mark, written):
        mark.measuring, mark.written = True, written
        root, uid, leader = bot.place.home, bot.place.uid, bot.pid

        def done(outcome):
            mark.measuring, mark.disk_at = False, time.monotonic()
            found = _found(outcome)
            mark.disk_took = found["seconds"]
            bot.allowance.measured(_with_disk(bot.allowance.used, found))

        work = self._helpers.run(f"measure the directory of {bot.bot}", lambda: measure(root, uid, leader, MEASURING_SECONDS), MEASURING_SECONDS + 10)
        work.then(done)


def _has_ceiling(bot):
    limits = bot.spec.limits
    return limits.pss_bytes is not None or limits.disk_bytes is not None


def _memory_at_most(sample, resident):
    used = memory_used(sample)
    return resident if used is None else used + max(0, resident - sample["memory"]["rssBytes"])


def _is_due(bot, mark, written, now):
    if mark.measuring:
        return False
    if mark.disk_at is None:
        return True
    # A new run counts from nothing.
    more = written - mark.written if written >= mark.written else written
    near = bot.allowance.used.disk is None or bot.allowance.used.disk + more > bot.spec.limits.disk_bytes * NEAR
    pause = DISK_NEAR_SECONDS if near else DISK_SECONDS
    return now >= mark.disk_at + max(pause, mark.disk_took / SHARE)


def _found(outcome):
    try:
        return outcome.result()
    except Fault as fault:
        return {"bytes": None, "trouble": fault.text, "seconds": MEASURING_SECONDS}


def _with_disk(before, found):
    """With only a part measured it is at least what it was: a bot is not let go on for want of time."""
    size, known = found["bytes"], before.disk
    if found["trouble"] and known is not None:
        size = max(size or 0, known)
    return replace(before, disk=size, trouble=found["trouble"])
