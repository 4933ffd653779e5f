"""A test's own plugin: measures how long supervisord's loop is held between two polls, counts its objects, and shortens its patience with zygotes."""

import gc
import json
import time
from collections import Counter

from bunkhouse_plugin import zygote_process


class Probe:
    def __init__(self, poller):
        self._poll, self._since, self._all = poller.poll, now(), []
        poller.poll = self._measured

    def longest(self, text="{}"):
        """Since the last call, of all turns: the longest by the clock and by the processor time it took, in ms, and how many were above 10 ms."""
        held, self._all = self._all, []
        clock, worked = ([ms[kind] for ms in held] for kind in (0, 1))
        over = [sum(ms > 10 for ms in kind) for kind in (clock, worked)]
        return json.dumps({"turns": len(held), "clock": max(clock), "worked": max(worked), "clockOver": over[0], "workedOver": over[1]})

    def objects(self, text):
        """{kind: how many of it there are}, of objects that can hold others."""
        gc.collect()
        return json.dumps(Counter(type(found).__qualname__ for found in gc.get_objects()))

    def hurry(self, text):
        """Seconds a zygote has: `{"PRELOAD_SECONDS": …, "FORK_SECONDS": …}`."""
        for name, seconds in json.loads(text).items():
            setattr(zygote_process, name, seconds)
        return json.dumps({})

    def _measured(self, timeout):
        before, after = self._since, now()
        self._all.append([(late - early) * 1000 for early, late in zip(before, after)])
        try:
            return self._poll(timeout)
        finally:
            self._since = now()


def now():
    return time.monotonic(), time.thread_time()


def make_rpcinterface(supervisord):
    return Probe(supervisord.options.poller)
