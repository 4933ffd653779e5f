"""supervisord keeps nothing of what is over: after many lives it holds as many objects as after a few."""

import itertools
import os
import signal
import unittest

from prefork import LISTEN, PreforkTest

BOTS = 4
FIRST_DEEDS, MORE_DEEDS = 40, 200
# Timers that were taken back are kept a while, and a turn of the loop has some things in hand.
SLACK = 500
AT_ONCE = {"minSeconds": 0, "maxSeconds": 0, "healthySeconds": 0}


class GrowthTest(PreforkTest):
    def test_lives_leave_nothing_behind(self):
        self.specs = {f"bot{slot}": self.bot(f"bot{slot}", "serve", slot=slot, readiness=LISTEN, backoff=AT_ONCE) for slot in range(BOTS)}
        self.deeds = itertools.cycle((self.kill, self.restart, self.stop_and_start))
        self.harass(FIRST_DEEDS)
        before = self.objects()
        self.harass(MORE_DEEDS)
        after = self.objects()
        grown = {kind: count - before.get(kind, 0) for kind, count in after.items() if count > before.get(kind, 0)}
        print(f"\n{sum(before.values())} objects, and after {MORE_DEEDS} more deeds {sum(after.values())}", end="", flush=True)
        self.assertLess(sum(after.values()) - sum(before.values()), SLACK, grown)

    def harass(self, times):
        """Each followed by what the supervisor asks, as it would."""
        for name, deed in zip(itertools.cycle(self.specs), itertools.islice(self.deeds, times)):
            restarts = self.until_state(name, "running", 30)["restarts"]
            deed(name, restarts)
            self.call("wait", {"cursor": self.call("observe")["cursor"], "seconds": 0.02})
            self.output(name)

    def kill(self, name, restarts):
        os.kill(self.observe(name)["pid"], signal.SIGKILL)
        self.until_observed(name, lambda seen: seen["restarts"] > restarts)

    def restart(self, name, _):
        self.specs[name] = self.apply(self.specs[name], restartGeneration=self.generation + 1)

    def stop_and_start(self, name, _):
        self.specs[name] = self.apply(self.specs[name], run=False)
        self.until_state(name, "stopped")
        self.specs[name] = self.apply(self.specs[name], run=True)

    def objects(self):
        """Of each kind how many the collector knows, at rest."""
        for name in self.specs:
            self.until_state(name, "running", 30)
        self.call("longest", namespace="probe")  # or its own memory would grow
        return self.call("objects", namespace="probe")


if __name__ == "__main__":
    unittest.main()
