"""Objects with immortal reference counts, under programs that treat them as roughly as they can, life after life.

BUNKHOUSE_TEST_LIVES: how many lives (60).
"""

import os
import subprocess
import sys
import unittest
from unittest import mock

from harness import PLUGIN, until
from prefork import PREFORK, PYTHON, PreforkTest, prefork

sys.path.insert(0, PLUGIN)
from bunkhouse_plugin.zygote import heap  # noqa: E402

LIVES = int(os.environ.get("BUNKHOUSE_TEST_LIVES", "60"))
BOTS = 5
AT_ONCE = {"minSeconds": 0, "maxSeconds": 0, "healthySeconds": 0}
GROWTH = 2 << 20


class ChurnTest(PreforkTest):
    def lives(self, **changes):
        """Bots that end and start again, until there were enough; each life that went well leaves a mark."""
        self.bot("bot0", "churn", backoff=AT_ONCE, **changes)
        until(lambda: self.zygote()["forks"] > BOTS, "the first lives", 60)
        self.stopped("bot0", **changes)
        before = size(self.zygote()["pid"])
        for slot in range(BOTS):
            self.bot(f"bot{slot}", "churn", slot=slot, backoff=AT_ONCE, **changes)
        until(lambda: self.zygote()["forks"] >= LIVES, f"{LIVES} lives", 60 + 3 * LIVES, self.zygotes)
        bots = [self.stopped(f"bot{slot}", slot=slot, **changes) for slot in range(BOTS)]
        zygote = self.zygote()
        after = size(zygote["pid"])
        for seen in bots:
            self.assertGreaterEqual(self.finished(seen["bot"]), seen["restarts"], self.output(seen["bot"]))
            self.assertLessEqual(set(self.output(seen["bot"]).splitlines()), {"atexit ran"})
        print(f"\n{zygote['forks']} lives, immortal {zygote['immortal']}: zygote {before} before and {after} after (RSS, descriptors)", end="", flush=True)
        self.assertEqual((zygote["starts"], zygote["immortal"]), (1, changes["prefork"]["immortal"] and PYTHON >= (3, 12)))
        self.assertLess(after[0] - before[0], GROWTH)
        self.assertEqual(after[1], before[1])

    def finished(self, name):
        """Lives that came to their own end."""
        path = self.supervisord.path("bots", name, "finished")
        return os.path.getsize(path) if os.path.exists(path) else 0

    def stopped(self, name, **changes):
        self.bot(name, "churn", run=False, stop={"signal": "SIGKILL", "graceSeconds": 0}, **changes)
        return self.until_state(name, "stopped")

    def test_life_after_life(self):
        self.lives(prefork=PREFORK)

    def test_switched_off(self):
        with mock.patch(f"{__name__}.LIVES", LIVES // 4):
            self.lives(prefork=prefork(immortal=False))


class RefusalTest(unittest.TestCase):
    """Never in this process: only what is refused."""

    def test_an_unknown_version(self):
        for version in ((3, 11), (3, 15), (4, 0)):
            with mock.patch.object(sys, "version_info", version):
                count, why = heap.immortal_count()
            self.assertIsNone(count)
            self.assertIn("is not one we know", why)

    def test_a_build_that_keeps_counts_in_another_way(self):
        with mock.patch.dict(heap.IMMORTAL, {PYTHON: (0x1234, 0x1234)}):
            count, why = heap.immortal_count()
        self.assertEqual((count, why), (None, "reference counts stay mortal: this build of Python keeps them in another way"))
        with mock.patch.object(sys, "abiflags", "t"), mock.patch.dict(heap.IMMORTAL, {PYTHON: (heap._count(None).value,) * 2}):
            self.assertIsNone(heap.immortal_count()[0])

    @unittest.skipIf(PYTHON < (3, 12), "no immortal objects before Python 3.12")
    def test_this_one_is_known_and_counts_stay(self):
        """In a process of its own: what was made immortal is used in every way the interpreter has, and its count is never written to again."""
        self.assertEqual(heap.immortal_count(), (heap.IMMORTAL[PYTHON][1], ""))
        program = f"""
import sys; sys.path.insert(0, {PLUGIN!r})
import gc
from bunkhouse_plugin.zygote import heap
gc.disable()
class Kind: pass
things = [Kind() for _ in range(1000)] + [str(number) for number in range(1000)]
count, _ = heap.immortal_count()
heap.make_immortal(count)
heap.settle()
before = [heap._count(thing).value for thing in things]
for _ in range(100):
    for thing in things: other = [thing] * 3; del other
    sorted(things, key=id); dict.fromkeys(things); list(reversed(things)); [getattr(thing, '__class__') for thing in things]
    taken = [things.pop() for _ in range(2000)]; things.extend(reversed(taken)); del taken
print([heap._count(thing).value for thing in things] == before, all(value & heap.IMMORTAL_BIT for value in before))
"""
        said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        self.assertEqual(said, "True True\n")


def size(pid):
    """(RSS in bytes, open descriptors)"""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"), len(os.listdir(f"/proc/{pid}/fd"))


if __name__ == "__main__":
    unittest.main()
