"""One bot that misbehaves beside three that do not, each with a uid of its own. Prints what the neighbours felt."""

import os
import sys
import time
import unittest

from harness import FIRST_PORT, PluginTest, bot, until
from neighbours import Neighbours

SLOT = 3
MIB = 1 << 20
LIMITS = {"memoryBytes": None, "pssBytes": None, "diskBytes": None, "cpuWeight": 100, "openFiles": None, "processes": None, "nice": 0}
SHORT_BACKOFF = {"minSeconds": 0.2, "maxSeconds": 2, "healthySeconds": 60}


class Walls(PluginTest):
    isolated = True

    def test_memory_hog_that_grows_slowly(self):
        with Neighbours(self) as neighbours:
            began = self.rest()
            self.misbehave("memory-hog", "--step", "2", pssBytes=100 * MIB)
            self.until_observed("bad", lambda seen: "near its ceiling of 100 MiB" in seen["warning"], 20)
            seen = self.until_observed("bad", lambda seen: seen["lastExit"], 20)
            self.assertRegex(self.supervisord.log(), r"bad: backoff \(used 1\d\d MiB of memory, its ceiling is 100 MiB\)")
            self.assertEqual((seen["lastExit"]["signal"], seen["lastExit"]["expected"]), ("SIGTERM", False))
            self.until_observed("bad", lambda seen: seen["restarts"] >= 2, 30)
            neighbours.felt("memory hog, 20 MiB a second", began)

    def test_memory_hog_that_grows_fast(self):
        with Neighbours(self) as neighbours:
            began = self.rest()
            self.misbehave("memory-hog", "--step", "16", "--every", "0", pssBytes=100 * MIB, cgroup=True)
            seen = self.until_observed("bad", lambda seen: seen["lastExit"], 20)
            self.assertEqual(seen["lastExit"]["signal"], "SIGKILL")
            self.assertIn("bad: backoff (killed by the kernel: over its memory limit of 125 MiB)", self.supervisord.log())
            self.until_observed("bad", lambda seen: seen["restarts"] >= 3, 30)
            neighbours.felt("memory hog, as fast as it can", began)

    def test_fork_bomb(self):
        with Neighbours(self) as neighbours:
            began = self.rest()
            self.misbehave("bomb", processes=100)
            until(lambda: "fork refused" in self.output("bad"), "it meets its limit")
            time.sleep(2)
            self.assertLessEqual(self.processes_of("bad"), 100)
            neighbours.felt("fork bomb, 100 processes allowed", began)
            self.stop("bad")
            self.assertEqual(self.processes_of("bad"), 0)

    def test_descriptor_hog(self):
        with Neighbours(self) as neighbours:
            began = self.rest()
            self.misbehave("descriptors", openFiles=256)
            until(lambda: "refused at" in self.output("bad"), "it meets its limit")
            self.until_observed("bad", lambda seen: seen["openFiles"] == 256)
            neighbours.felt("descriptor hog, 256 allowed", began)

    def test_cpu_burner(self):
        with Neighbours(self) as neighbours:
            began = self.rest()
            self.misbehave("burner", "--processes", "8")
            time.sleep(6)
            neighbours.felt("8 CPU burners, equal weight", began)

    def test_cpu_burner_that_weighs_little(self):
        with Neighbours(self) as neighbours:
            began = self.rest()
            self.misbehave("burner", "--processes", "8", cpuWeight=10, nice=10)
            time.sleep(6)
            neighbours.felt("8 CPU burners, weight 10, nice 10", began)

    def test_disk_filler_with_one_big_file(self):
        with Neighbours(self) as neighbours:
            began = self.rest()
            self.misbehave("filler", "--size", str(500 * MIB), diskBytes=50 * MIB)
            until(lambda: "refused: [Errno 27]" in self.output("bad"), "it meets its limit")
            self.assertEqual(self.size_of("bad", "fill", "0", "0"), 50 * MIB)
            neighbours.felt("disk filler, one file", began)

    def test_disk_filler_with_many_files(self):
        with Neighbours(self) as neighbours:
            began = self.rest()
            self.misbehave("filler", "--files", "20000", "--size", str(8 << 10), diskBytes=100 * MIB)
            seen = self.until_observed("bad", lambda seen: seen["state"] == "backoff" and seen["lastExit"], 60)
            self.assertIn("its ceiling is 100 MiB: remove files", seen["reason"])
            neighbours.felt("disk filler, 20,000 files", began)

    def test_neighbour_that_snoops(self):
        with Neighbours(self) as neighbours:
            began = self.rest()
            victim = self.observe("neighbour0")
            self.misbehave(
                "snoop", "--directory", self.supervisord.path("bots", "neighbour0"), "--pid", str(victim["pid"]), "--port", str(FIRST_PORT),
                "--notify", self.supervisord.path("run", "notify", "0", "notify.sock"),
            )
            until(lambda: "tried 15 things 50 times" in self.output("bad"), "it has tried everything")
            self.assertNotIn("came off:", self.output("bad"))
            neighbours.felt("snoop", began)
            seen = self.observe("neighbour0")
            self.assertEqual((seen["pid"], seen["status"], seen["listener"]), (victim["pid"], "State: RUNNING.", "self"))

    def rest(self):
        """Some time to measure how it is without trouble; when the trouble begins."""
        time.sleep(3)
        return time.monotonic()

    def misbehave(self, name, *args, cgroup=False, **limits):
        cgroups = self.call("observe")["cgroups"]
        if cgroup and not cgroups["made"]:
            self.skipTest(cgroups["reason"])
        self.call("apply", self.spec("bad", *bot(name), *args, slot=SLOT, limits={**LIMITS, **limits}, backoff=SHORT_BACKOFF))

    def stop(self, name):
        self.apply(self.spec(name, "true", slot=SLOT, run=False))
        self.until_state(name, "stopped")

    def processes_of(self, name):
        uid = self.supervisord.uid_base + FIRST_PORT + SLOT
        return sum(_owner(pid) == uid for pid in os.listdir("/proc") if pid.isdigit())

    def size_of(self, *parts):
        return os.stat(self.supervisord.path("bots", *parts)).st_size


def _owner(pid):
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None


if __name__ == "__main__":
    unittest.main()
