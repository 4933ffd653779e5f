"""Ceilings on memory and disk: what is decided, how a directory is measured, and what becomes of a bot that is above."""

import ast
import os
import sys
import tempfile
import threading
import time
import unittest

from harness import PLUGIN, PluginTest, bot, kill, until

sys.path.insert(0, PLUGIN)

from bunkhouse_plugin import ceilings  # noqa: E402
from bunkhouse_plugin.ceilings import Used  # noqa: E402
from bunkhouse_plugin.disk_usage import measure  # noqa: E402
from bunkhouse_plugin.spec import Limits  # noqa: E402
from bunkhouse_plugin.units import amount  # noqa: E402

MIB = 1 << 20
LIMITS = Limits(memory_bytes=None, pss_bytes=100 * MIB, disk_bytes=1000 * MIB, cpu_weight=100, open_files=None, processes=None, nice=0)
NO_LIMITS = Limits(memory_bytes=None, pss_bytes=None, disk_bytes=None, cpu_weight=100, open_files=None, processes=None, nice=0)


def used(memory=None, swap=0, disk=None, trouble=""):
    sample = None if memory is None else {"memory": {"pssBytes": memory * MIB, "swapBytes": swap * MIB, "rssBytes": memory * MIB}}
    return Used(sample, None if disk is None else disk * MIB, trouble)


class Decisions(unittest.TestCase):
    def test_memory(self):
        table = [(None, 0, "", ""), (90, 0, "", ""), (91, 0, "near", ""), (100, 0, "near", ""), (101, 0, "", "used 101 MiB"), (50, 51, "", "used 101 MiB")]
        for memory, swap, warning, excess in table:
            found = used(memory, swap)
            self.assertEqual(bool(warning), "near its ceiling of 100 MiB" in ceilings.warning(LIMITS, found), memory)
            self.assertEqual(bool(excess), bool(ceilings.excess(LIMITS, found)), memory)
            self.assertIn(excess, ceilings.excess(LIMITS, found))
        self.assertEqual((ceilings.warning(NO_LIMITS, used(1 << 20)), ceilings.excess(NO_LIMITS, used(1 << 20))), ("", ""))

    def test_a_full_directory_holds_the_bot_until_there_is_some_room(self):
        held = ceilings.hold("", LIMITS, used(disk=1000))
        self.assertEqual(held, "")
        held = ceilings.hold(held, LIMITS, used(disk=1001))
        self.assertIn("its ceiling is 1000 MiB: remove files or raise diskBytes; below 900 MiB it is started again", held)
        held = ceilings.hold(held, LIMITS, used(disk=950))
        self.assertNotEqual(held, "")
        self.assertEqual(ceilings.hold(held, LIMITS, used(disk=899)), "")
        self.assertEqual(ceilings.hold(held, NO_LIMITS, used(disk=950)), "")

    def test_a_directory_that_cannot_be_measured_is_told_of(self):
        self.assertIn("not known: too many", ceilings.warning(LIMITS, used(disk=1, trouble="too many")))
        self.assertEqual(ceilings.warning(NO_LIMITS, used(trouble="too many")), "")

    def test_amounts(self):
        table = {0: "0 bytes", 1023: "1023 bytes", 1024: "1 KiB", 1 << 30: "1 GiB", 1181116007: "1.1 GiB", 1024 * MIB - 1: "1 GiB", 105 * MIB: "105 MiB", 10.5 * MIB: "10.5 MiB"}
        self.assertEqual({count: amount(count) for count in table}, table)


class Measuring(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = folder.name
        self.empty = self.measure()["bytes"]

    def test_blocks_are_counted_and_not_lengths(self):
        self.write("a", 100_000)
        self.write("b/c/d", 100_000)
        with open(os.path.join(self.top, "sparse"), "wb") as file:
            file.truncate(1 << 40)
        self.assertTrue(200_000 <= self.measure()["bytes"] - self.empty < 240_000, self.measure())

    def test_links_lead_nowhere_and_names_of_one_file_count_once(self):
        self.write("a", 100_000)
        os.link(os.path.join(self.top, "a"), os.path.join(self.top, "again"))
        os.symlink("/usr", os.path.join(self.top, "usr"))
        os.symlink("..", os.path.join(self.top, "up"))
        self.assertLess(self.measure()["bytes"] - self.empty, 120_000)

    def test_other_filesystems_are_somebody_elses(self):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
            self.assertNotEqual(os.stat(other).st_dev, os.stat("/dev").st_dev, "/dev/shm is no filesystem of its own here")
            before = self.measure("/dev")["bytes"]
            with open(os.path.join(other, "a"), "wb") as file:
                file.write(b"x" * 8 * MIB)
            self.assertLess(self.measure("/dev")["bytes"], before + MIB)

    def test_deleted_files_that_are_held_open(self):
        with open(os.path.join(self.top, "gone"), "wb") as file:
            os.unlink(file.name)
            file.write(b"x" * MIB)
            file.flush()
            self.assertLess(self.measure()["bytes"], MIB)
            self.assertGreaterEqual(self.measure(leader=os.getpid())["bytes"], MIB)

    def test_directories_nested_deeper_than_paths_are_long(self):
        here = os.open(self.top, os.O_RDONLY)
        for _ in range(3000):
            os.mkdir("deeper", dir_fd=here)
            below = os.open("deeper", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        with open(os.open("bottom", os.O_WRONLY | os.O_CREAT, dir_fd=here), "wb") as file:
            file.write(b"x" * MIB)
        os.close(here)
        found = self.measure()
        self.assertGreaterEqual(found["bytes"], MIB)
        self.assertEqual(found["trouble"], "")
        self.flatten()

    def test_past_its_time_it_tells_what_it_has(self):
        self.write("a", 100_000)
        found = measure(self.top, None, 0, -1)
        self.assertIn("too many", found["trouble"])

    def test_a_directory_that_is_moved_about_meanwhile_does_not_lead_out_of_it(self):
        self.write("one/two/file", 1000)
        self.write("other/file", 1000)
        stop = threading.Event()

        def move():
            while not stop.is_set():
                os.rename(f"{self.top}/one/two", f"{self.top}/other/two")
                os.rename(f"{self.top}/other/two", f"{self.top}/one/two")

        thread = threading.Thread(target=move)
        thread.start()
        try:
            for _ in range(300):
                self.assertLess(self.measure()["bytes"], MIB)
        finally:
            stop.set()
            thread.join()

    def test_what_is_not_there_is_empty(self):
        self.assertEqual(measure(os.path.join(self.top, "none"), None, 0, 1)["bytes"], 0)

    def measure(self, top=None, leader=0):
        pid = os.fork()  # it makes itself nice for good
        if pid == 0:
            code = 1
            try:
                with open(f"{self.top}.answer", "w") as file:
                    file.write(repr(measure(top or self.top, None, leader, 20)))
                code = 0
            finally:
                os._exit(code)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        with open(f"{self.top}.answer") as file:
            answer = file.read()
        os.unlink(file.name)
        return ast.literal_eval(answer)

    def write(self, path, length):
        path = os.path.join(self.top, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(b"x" * length)

    def flatten(self):
        """What a path cannot name, shutil cannot delete: brought up level by level."""
        above, here = os.path.join(self.top, "deeper"), os.path.join(self.top, "next")
        while os.path.isdir(os.path.join(above, "deeper")):
            os.rename(os.path.join(above, "deeper"), here)
            os.rmdir(above)
            os.rename(here, above)


class Held(PluginTest):
    """Below a real supervisord."""

    def test_a_full_bot_is_stopped_held_and_started_again_once_there_is_room(self):
        self.apply_filler("--files", "400", "--size", "65536")
        seen = self.until_observed("ann", lambda seen: seen["lastExit"] and seen["state"] == "backoff" and seen["nextStartAt"] is None, 30)
        self.assertIn("its ceiling is 10 MiB: remove files or raise diskBytes; below 9 MiB it is started again", seen["reason"])
        self.assertEqual((seen["lastExit"]["signal"], seen["pid"]), ("SIGTERM", None))
        self.assertGreater(seen["diskBytes"], 10 * MIB)
        time.sleep(1.5)  # more than its backoff
        self.assertIsNone(self.observe("ann")["pid"])
        folder = self.supervisord.path("bots", "ann", "fill", "0")
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        self.apply(self.spec("ann", *bot("hang"), limits=self.limits(diskBytes=10 * MIB)))
        self.assertIsNone(self.observe("ann")["pid"], "it is not tried on the mere chance that there is room")
        self.until_state("ann", "running", 30)
        self.assertLess(self.observe("ann")["diskBytes"], 9 * MIB)

    def test_a_higher_ceiling_frees_it_at_once(self):
        self.apply_filler("--files", "200", "--size", "65536")
        self.until_observed("ann", lambda seen: seen["lastExit"] and seen["state"] == "backoff", 30)
        self.apply(self.spec("ann", *bot("hang"), limits=self.limits(diskBytes=100 * MIB)))
        self.until_state("ann", "running", 5)

    def test_a_held_bot_can_be_stopped_and_removed(self):
        self.apply_filler("--files", "200", "--size", "65536")
        self.until_observed("ann", lambda seen: seen["lastExit"] and seen["state"] == "backoff", 30)
        self.apply(self.spec("ann", *bot("hang"), run=False, limits=self.limits(diskBytes=10 * MIB)))
        self.until_state("ann", "stopped", 5)
        self.call("remove", {"bot": "ann", "generation": self.generation})
        self.assertIsNone(self.observe("ann"))

    def test_near_its_ceiling_it_is_warned_of(self):
        self.apply_filler("--files", "38", "--size", "262144")
        self.until_observed("ann", lambda seen: "near its ceiling of 10 MiB" in seen["warning"] and seen["state"] == "running", 30)

    def test_one_file_does_not_outrun_the_watch(self):
        self.apply_filler("--size", str(100 * MIB))
        until(lambda: "refused: [Errno 27] File too large" in self.output("ann"), "it is refused")
        self.assertEqual(os.path.getsize(self.supervisord.path("bots", "ann", "fill", "0", "0")), 10 * MIB)

    def test_deleted_files_fill_the_disk_as_well(self):
        self.apply_filler("--files", "5", "--size", str(4 * MIB), "--delete")
        self.until_observed("ann", lambda seen: "its directory holds" in seen["reason"], 30)
        self.until_state("ann", "running", 30)  # what was deleted is gone with the process

    def test_a_bot_above_its_memory_ceiling_is_restarted_with_backoff(self):
        backoff = {"minSeconds": 1, "maxSeconds": 60, "healthySeconds": 60}
        self.call("apply", self.spec("ann", *bot("memory-hog"), "--reach", "54", "--step", "2", limits=self.limits(pssBytes=50 * MIB), backoff=backoff))
        seen = self.until_state("ann", "backoff")
        self.assertRegex(seen["reason"], r"^used [56]\d(\.\d)? MiB of memory, its ceiling is 50 MiB$")
        self.assertEqual((seen["lastExit"]["signal"], seen["lastExit"]["expected"], seen["warning"]), ("SIGTERM", False, ""))
        self.until_observed("ann", lambda seen: seen["restarts"] == 2, 30)
        seen = self.until_observed("ann", lambda seen: seen["restarts"] == 2 and seen["state"] == "backoff", 30)
        self.assertGreaterEqual(seen["nextStartAt"] - seen["lastExit"]["at"], 1.9)

    def test_a_ceiling_put_below_what_a_bot_uses_takes_effect(self):
        self.call("apply", self.spec("ann", *bot("memory-hog"), "--reach", "60"))
        until(lambda: "holds 60 MiB" in self.output("ann"), "it has its memory")
        self.apply(self.spec("ann", *bot("memory-hog"), "--reach", "1", limits=self.limits(pssBytes=50 * MIB)))
        self.until_observed("ann", lambda seen: seen["lastExit"] and seen["state"] == "running")

    def test_what_dies_for_other_reasons_is_not_held(self):
        self.call("apply", self.spec("ann", *bot("hang"), limits=self.limits(pssBytes=500 * MIB, diskBytes=500 * MIB)))
        seen = self.until_observed("ann", lambda seen: seen["diskBytes"] is not None)
        kill(seen["pid"])
        self.until_observed("ann", lambda seen: seen["restarts"] == 1 and seen["pid"])

    def apply_filler(self, *args):
        self.call("apply", self.spec("ann", *bot("filler"), *args, limits=self.limits(diskBytes=10 * MIB)))

    def limits(self, **changes):
        return {**self.spec("nobody", "true")["limits"], **changes}


if __name__ == "__main__":
    unittest.main()
