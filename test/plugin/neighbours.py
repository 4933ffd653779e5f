"""Well-behaved bots beside one that is not, and what they feel of it."""

import http.client
import statistics
import threading
import time

from harness import FIRST_PORT, bot, until

READY = {"kind": "notify", "startupSeconds": 30, "watchdogSeconds": 20}
PAUSE_SECONDS = 0.02
PATIENCE_SECONDS = 10
SHORTEST_SECONDS = 4


class Neighbours:
    """`count` servers in slots 0 and up, each asked all the time by a thread of its own. Use it in a `with`."""

    def __init__(self, test, count=3):
        self._test, self._names = test, [f"neighbour{number}" for number in range(count)]
        self._stop = threading.Event()
        self._answers = [[] for _ in self._names]  # (began, took) of those that came
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(count)]

    def __enter__(self):
        for slot, name in enumerate(self._names):
            self._test.call("apply", self._test.spec(name, *bot("server"), slot=slot, readiness=READY, files=[SECRET], env=_environment(slot)))
        for name in self._names:
            self._test.until_state(name, "running", 30)
        for thread in self._threads:
            thread.start()
        self._before = time.monotonic()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def felt(self, what, began):
        """A line of the table: what they felt since `began` (some seconds at least), beside how it was before. Fails when one was restarted or is silent."""
        time.sleep(max(0, began + SHORTEST_SECONDS - time.monotonic()))
        until(lambda: all(answers and answers[-1][0] > began for answers in self._answers), "all neighbours answer", PATIENCE_SECONDS)
        ended = time.monotonic()
        restarts = sum(self._test.observe(name)["restarts"] for name in self._names)
        quiet, loud = self._times(self._before, began), self._times(began, ended)
        line = (
            f"{what:<34} median {statistics.median(quiet):5.1f} -> {statistics.median(loud):6.1f} ms   "
            f"longest gap {self._gap(self._before, began):6.0f} -> {self._gap(began, ended):6.0f} ms   "
            f"restarts {restarts}   answers {len(loud)} in {ended - began:.1f} s"
        )
        print(f"\n{line}", flush=True)
        self._test.assertEqual(restarts, 0, line)

    def _ask(self, number):
        while not self._stop.is_set():
            began = time.monotonic()
            connection = http.client.HTTPConnection("127.0.0.1", FIRST_PORT + number, timeout=PATIENCE_SECONDS)
            try:
                connection.request("GET", "/ping")
                if connection.getresponse().read() == b'{"status": "pong"}':
                    self._answers[number].append((began, time.monotonic() - began))
            except OSError:
                pass
            finally:
                connection.close()
            self._stop.wait(PAUSE_SECONDS)

    def _times(self, began, ended):
        return [took * 1000 for answers in self._answers for at, took in answers if began <= at < ended]

    def _gap(self, began, ended):
        """The longest time without a finished answer of one of them, in ms."""
        longest = 0
        for answers in self._answers:
            moments = [began, *(at + took for at, took in list(answers) if began <= at + took < ended), ended]
            longest = max(longest, *(later - earlier for earlier, later in zip(moments, moments[1:])))
        return longest * 1000


def _environment(slot):
    return {"PORT": str(FIRST_PORT + slot), "TOKEN": "neighbours-secret"}


SECRET = {"path": "secret.txt", "mode": 0o600, "when": "always", "data": "c2VjcmV0"}
