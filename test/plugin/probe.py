"""A test's own plugin: measures how long supervisord's loop is held between two polls."""

import json
import time


class Probe:
    def __init__(self, poller):
        self._poll, self._since, self._longest, self._all = poller.poll, time.monotonic(), 0.0, []
        poller.poll = self._measured

    def longest(self, text="{}"):
        """Longest hold in ms, and the number above 10 ms, since the last call."""
        held, self._all = self._all, []
        return json.dumps({"ms": max(held, default=0) * 1000, "turns": len(held), "over": sum(seconds > 0.01 for seconds in held)})

    def _measured(self, timeout):
        self._all.append(time.monotonic() - self._since)
        try:
            return self._poll(timeout)
        finally:
            self._since = time.monotonic()


def make_rpcinterface(supervisord):
    return Probe(supervisord.options.poller)
