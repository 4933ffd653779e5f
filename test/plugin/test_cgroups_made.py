"""Cgroups of bots below a real supervisord, in this machine's own cgroups."""

import os
import unittest
from contextlib import contextmanager

import groups
from harness import FIRST_PORT, PluginTest, Supervisord, bot, is_alive, kill, until
from prefork import PreforkTest, warmup

MIB = 1 << 20
SLOW = {"minSeconds": 60, "maxSeconds": 60, "healthySeconds": 60}


class Made(PluginTest):
    """In this machine's own cgroups, below a real supervisord."""

    def setUp(self):
        super().setUp()
        seen = self.call("observe")["cgroups"]
        if not seen["made"]:
            self.skipTest(seen["reason"])
        if any(groups.TREES[name].version == 2 for name in ("memory", "pids", "cpu") if name in groups.TREES):
            self.skipTest("the files looked at are those of version 1")

    def test_from_the_first_start_to_removal(self):
        pid = self.start("ann", slot=7, pssBytes=100 * MIB, processes=20, cpuWeight=300)["pid"]
        mine = {controller: groups.of(pid, controller) for controller in ("memory", "pids", "cpu")}
        for controller, path in mine.items():
            self.assertEqual((os.path.basename(path), groups.pids(path)), ("slot-7", [pid]), controller)
        self.assertEqual(self.value("memory", pid, "memory.limit_in_bytes"), 125 * MIB)
        self.assertEqual(self.value("pids", pid, "pids.max"), 20)
        self.assertEqual(self.value("cpu", pid, "cpu.shares"), 3072)
        self.start("bob", slot=8, cpuWeight=100)
        self.assertEqual(int(groups.read(f"{os.path.dirname(mine['cpu'])}/cpu.shares")), 4096)
        kill(pid)
        pid = self.until_observed("ann", lambda seen: seen["pid"] not in (None, pid))["pid"]
        until(lambda: groups.pids(mine["memory"]) == [pid], "the next one is there too")
        self._remove_all()
        self.assertFalse(any(map(os.path.exists, mine.values())))

    def test_children_are_held_as_well(self):
        pid = self.start("ann", *bot("breeder"), "--every", "0.001", processes=10)["pid"]
        until(lambda: "9 children, 5 refused" in self.output("ann"), "it meets its limit")
        self.assertEqual(len(groups.pids(groups.of(pid, "pids"))), 10)

    def test_more_of_everything_at_once_and_less_memory_at_the_next_start(self):
        pid = self.start("ann", pssBytes=100 * MIB)["pid"]
        self.limit("ann", pssBytes=200 * MIB, processes=50, cpuWeight=10)
        self.assertEqual(self.value("memory", pid, "memory.limit_in_bytes"), 250 * MIB)
        self.assertEqual(self.value("memory", pid, "memory.memsw.limit_in_bytes"), 250 * MIB)
        self.assertEqual((self.value("pids", pid, "pids.max"), self.value("cpu", pid, "cpu.shares")), (50, 102))
        self.limit("ann", pssBytes=40 * MIB, processes=60)
        self.assertEqual((self.value("memory", pid, "memory.limit_in_bytes"), self.value("pids", pid, "pids.max")), (250 * MIB, 60))
        self.limit("ann", pssBytes=300 * MIB, cpuWeight=20)
        self.assertEqual((self.value("memory", pid, "memory.limit_in_bytes"), self.value("cpu", pid, "cpu.shares")), (375 * MIB, 204))
        self.limit("ann", pssBytes=40 * MIB, processes=60)
        self.assertEqual(self.observe("ann")["pid"], pid)
        kill(pid)
        pid = self.until_observed("ann", lambda seen: seen["pid"] not in (None, pid))["pid"]
        until(lambda: self.value("memory", pid, "memory.limit_in_bytes") == 50 * MIB, "the new limit holds")

    def test_a_bot_without_limits_is_in_a_group_too_and_the_kernel_is_not_blamed_for_a_kill(self):
        pid = self.start("ann")["pid"]
        self.assertGreater(self.value("memory", pid, "memory.limit_in_bytes"), 1 << 50)
        kill(pid)
        until(lambda: "backoff (killed by SIGKILL)" in self.supervisord.log(), "the log says just what is known")

    def test_a_bot_that_grows_too_fast_is_killed_alone_and_its_reason_says_why(self):
        bystander = self.start("bob", slot=1)["pid"]
        spec = self.spec("ann", *bot("memory-hog"), "--every", "0", limits=self.limits(pssBytes=40 * MIB), backoff=SLOW)
        self.call("apply", spec)
        seen = self.until_state("ann", "backoff")
        self.assertEqual(seen["reason"], "killed by the kernel: over its memory limit of 50 MiB")
        self.assertTrue(is_alive(bystander))

    def test_what_an_earlier_life_left_is_taken_away(self):
        with another() as other:
            pid = other.call("apply", self.spec("ann", *bot("hang"), slot=5))["pid"]
            until(lambda: groups.of(pid, "memory").endswith("/slot-5"), "it is in its group")
            group = groups.of(pid, "memory")
            other.kill()
            until(lambda: not is_alive(pid), "it died with supervisord")
            self.assertTrue(os.path.exists(group))
            other.start()
            self.assertFalse(os.path.exists(group))
            self.assertTrue(os.path.exists(os.path.dirname(group)))
        self.assertFalse(os.path.exists(os.path.dirname(group)), "a container that stops leaves nothing")

    def test_what_a_container_left_that_never_comes_back_is_taken_away_by_the_next_and_nobody_elses(self):
        mine = os.path.dirname(groups.of(self.start("ann", slot=1)["pid"], "memory"))
        with another() as lost:
            pid = lost.call("apply", self.spec("bob", *bot("hang"), slot=1))["pid"]
            until(lambda: groups.of(pid, "memory").endswith("/slot-1"), "it is in its group")
            group = os.path.dirname(groups.of(pid, "memory"))
            lost.kill()
        self.assertTrue(os.path.exists(group))
        self.apply(self.spec("ann", *bot("hang"), slot=1, run=False))
        self.until_state("ann", "stopped")
        with another():
            self.assertFalse(os.path.exists(group))
            self.assertTrue(os.path.exists(mine), "that of a container with nobody in it")
            self.start("ann", slot=1, pssBytes=100 * MIB)
            self.assertEqual(self.value("memory", self.observe("ann")["pid"], "memory.limit_in_bytes"), 125 * MIB)

    def test_two_containers_side_by_side(self):
        mine = self.start("ann", slot=4)["pid"]
        with another() as other:
            theirs = other.call("apply", self.spec("ann", *bot("hang"), slot=4))["pid"]
            until(lambda: groups.pids(groups.of(theirs, "memory")) == [theirs], "it is in its group")
            self.assertNotEqual(groups.of(mine, "memory"), groups.of(theirs, "memory"))
            self.assertEqual(groups.pids(groups.of(mine, "memory")), [mine])

    def start(self, name, *command, slot=0, **limits):
        self.call("apply", self.spec(name, *(command or bot("hang")), slot=slot, limits=self.limits(**limits)))
        return self.until_state(name, "running")

    def limits(self, **changes):
        return {**self.spec("nobody", "true")["limits"], **changes}

    def limit(self, name, **limits):
        self.apply(self.spec(name, *bot("hang")), limits=self.limits(**limits))

    def value(self, controller, pid, file):
        return int(groups.read(f"{groups.of(pid, controller)}/{file}"))


class Forked(PreforkTest):
    def test_a_forked_bot_is_in_its_own_group_and_pays_for_its_own_pages_only(self):
        way = warmup("global heap", "heap = [bytearray(b'x') * (1 << 20) for _ in range(50)]")
        pid = self.serving("ann", prefork=way, slot=2)["pid"]
        if not self.call("observe")["cgroups"]["made"]:
            self.skipTest("no cgroups here")
        zygote = self.zygote()
        self.assertTrue(groups.of(pid, "memory").endswith("/slot-2"))
        self.assertNotIn("slot-", groups.of(zygote["pid"], "memory"))
        resident = int(groups.read(f"/proc/{pid}/statm").split()[1]) * 4096
        self.assertGreater(resident, 50 * MIB)
        self.assertLess(int(groups.read(f"{groups.of(pid, 'memory')}/memory.usage_in_bytes")), 20 * MIB)


class OutOfMemory(PreforkTest):
    """A container whose memory comes to an end: supervisord, a zygote and all bots in one cgroup."""

    @classmethod
    def setUpClass(cls):
        memory = groups.TREES.get("memory")
        if os.geteuid() != 0 or memory is None:
            raise unittest.SkipTest("takes root and a memory cgroup of version 1")
        cls.group = os.path.join(memory.path, f"test-bunkhouse-{os.getpid()}")
        os.mkdir(cls.group)
        cls.addClassCleanup(groups.clear, cls.group)
        with open(os.path.join(cls.group, "memory.limit_in_bytes"), "w") as limit:
            limit.write(str(300 * MIB))
        super().setUpClass()

    def test_the_fattest_bot_goes_and_supervisord_stays(self):
        lean = {f"lean{slot}": self.serving(f"lean{slot}", slot=slot, env={"PORT": str(FIRST_PORT + slot)})["pid"] for slot in range(2)}
        lean["lean2"] = self.hog("lean2", 2, "--reach", "30")["pid"]
        zygote, before = self.zygote()["pid"], self.call("observe")["incarnation"]
        scores = {int(groups.read(f"/proc/{pid}/oom_score_adj")) for pid in lean.values()}
        kept = {int(groups.read(f"/proc/{pid}/oom_score_adj")) for pid in (zygote, self.supervisord.process.pid)}
        self.assertEqual((len(scores), len(kept)), (1, 1))
        self.assertGreaterEqual(min(scores) - max(kept), 100)
        self.hog("fat", 3, "--step", "5", "--every", "0.02", "--after", "1.5")
        seen = self.until_observed("fat", lambda seen: seen["restarts"] >= 2, 60)
        self.assertEqual(seen["lastExit"]["signal"], "SIGKILL")
        for name, pid in lean.items():
            seen = self.observe(name)
            self.assertEqual((seen["pid"], seen["restarts"]), (pid, 0))
        self.assertEqual((self.zygote()["pid"], self.call("observe")["incarnation"]), (zygote, before))
        self.assertIn("killed by the kernel: its container or the machine ran out of memory", self.supervisord.log())

    def hog(self, name, slot, *args):
        self.call("apply", self.spec(name, *bot("memory-hog"), *args, slot=slot))
        return self.until_state(name, "running")


@contextmanager
def another():
    """A second container."""
    supervisord = Supervisord()
    try:
        yield supervisord.start()
    finally:
        supervisord.close()


if __name__ == "__main__":
    unittest.main()
