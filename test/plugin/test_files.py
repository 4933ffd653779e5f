"""A bot's directory: what apply writes, and what it must not be talked into writing."""

import os
import shutil
import subprocess
import unittest

from harness import FIRST_PORT, UID_BASE, PluginTest, bot, file

NOT_RUN = {"run": False}


class Files(PluginTest):
    def home(self, *parts):
        return self.supervisord.path("bots", "ann", *parts)

    def read(self, *parts):
        with open(self.home(*parts)) as found:
            return found.read()

    def test_files_and_directories_arrive_with_their_modes(self):
        files = [file("config.json", "{}"), file("user_data/strategies/My Strategy@1.py", "x = 'ü'", 0o755)]
        self.call("apply", self.spec("ann", "true", run=False, files=files, directories=["user_data/logs", "a/b/c"]))
        self.assertEqual(self.read("config.json"), "{}")
        self.assertEqual(self.read("user_data", "strategies", "My Strategy@1.py"), "x = 'ü'")
        self.assertEqual(os.stat(self.home("user_data/strategies/My Strategy@1.py")).st_mode & 0o777, 0o755)
        self.assertTrue(os.path.isdir(self.home("a/b/c")))
        self.assertEqual(os.stat(self.home()).st_mode & 0o777, 0o700)

    def test_always_replaces_and_absent_leaves_alone(self):
        spec = self.spec("ann", "true", run=False, files=[file("a", "1"), file("b", "1", when="absent")])
        self.call("apply", spec)
        for name in "ab":
            with open(self.home(name), "w") as changed:
                changed.write("changed")
        self.call("apply", spec)
        self.assertEqual((self.read("a"), self.read("b")), ("1", "changed"))

    def test_what_is_the_same_is_not_written_again(self):
        spec = self.spec("ann", "true", run=False, files=[file("a", "1")])
        self.call("apply", spec)
        before = os.stat(self.home("a"))
        self.call("apply", spec)
        self.assertEqual(os.stat(self.home("a")).st_ino, before.st_ino)

    def test_no_link_is_followed(self):
        self.call("apply", self.spec("ann", "true", run=False))
        outside = self.supervisord.path("outside")
        os.makedirs(outside, exist_ok=True)
        self.addCleanup(shutil.rmtree, outside)
        os.symlink(outside, self.home("folder"))
        text = self.assertFault(1005, "apply", self.spec("ann", "true", run=False, files=[file("folder/a", "1")]))
        self.assertIn("folder is a file or a link", text)
        os.symlink(os.path.join(outside, "b"), self.home("b"))
        self.call("apply", self.spec("ann", "true", run=False, files=[file("b", "1")]))
        self.assertFalse(os.path.islink(self.home("b")))
        self.assertEqual(os.listdir(outside), [])

    def test_a_write_that_fails_changes_nothing(self):
        spec = self.spec("ann", *bot("hang"), files=[file("a", "1"), file("d/x", "1")])
        pid = self.call("apply", spec)["pid"]
        os.mkdir(self.home("folder"))
        for blocked in ("d/x/y", "folder"):
            worse = self.spec("ann", "true", files=[file("a", "2"), file(blocked, "2")], restartGeneration=self.generation)
            self.assertFault(1005, "apply", worse)
        seen = self.observe("ann")
        self.assertEqual((seen["pid"], seen["generation"]), (pid, spec["generation"]))
        self.assertEqual(self.read("a"), "1")
        self.assertEqual(sorted(os.listdir(self.home())), ["a", "d", "folder"])

    def test_a_first_apply_that_fails_leaves_the_seat_free(self):
        self.assertFault(1002, "apply", self.spec("bad", "true", files=[{**file("a", "1"), "data": "no base64!"}]))
        self.call("apply", self.spec("ann", "true", run=False))

    def test_paths_that_leave_the_directory_are_refused(self):
        for path in ("../a", "/etc/a", "a/../b", "a//b", ".", "a/", "", "a\nb"):
            self.assertFault(1002, "apply", self.spec("ann", "true", files=[file(path, "1")]))

    def test_remove_takes_everything_with_it(self):
        self.call("apply", self.spec("ann", bot("hang")[0], "-c", "print('x', flush=True); import time; time.sleep(99)"))
        self.assertFault(1003, "remove", {"bot": "ann", "generation": self.generation})
        self.apply(self.spec("ann", "true"), run=False)
        self.until_state("ann", "stopped")
        os.mkdir(self.home("locked"), 0o000)
        self.assertEqual(self.call("remove", {"bot": "ann", "generation": self.generation}), {})
        self.assertEqual(self.call("observe")["directories"], [])
        self.assertFalse(os.path.exists(self.supervisord.path("logs", "ann.log")))
        self.assertEqual(self.call("remove", {"bot": "ann", "generation": self.generation}), {})


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("mount"), "mounting a small disk takes root")
class FullDisk(PluginTest):
    def test_a_full_disk_is_a_fault_and_changes_nothing(self):
        bots = self.supervisord.path("bots")
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0711", "tmpfs", bots], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("may not mount")
        self.addCleanup(subprocess.run, ["umount", bots], check=True)
        self.addCleanup(self._remove_all)
        self.call("apply", self.spec("ann", *bot("hang"), files=[file("a", "1")]))
        big = [file("a", "2"), file("big", "x" * 400_000)]
        text = self.assertFault(1005, "apply", self.spec("ann", "true", files=big))
        self.assertIn("No space left", text)
        with open(os.path.join(bots, "ann", "a")) as found:
            self.assertEqual(found.read(), "1")
        self.assertFault(1005, "apply", self.spec("ann", "true", files=big, run=False))
        self.until_state("ann", "stopped")


class OwnUsers(PluginTest):
    isolated = True

    def test_files_and_process_are_the_slots_users(self):
        spec = self.spec("ann", *bot("server"), files=[file("d/a", "1")], directories=["e"])
        self.call("apply", spec)
        self.until_observed("ann", lambda seen: seen["listener"] == "self")
        uid = UID_BASE + FIRST_PORT
        home = self.supervisord.path("bots", "ann")
        for path in (home, f"{home}/d", f"{home}/d/a", f"{home}/e"):
            self.assertEqual((os.stat(path).st_uid, os.stat(path).st_gid), (uid, uid), path)
        with open(f"/proc/{self.observe('ann')['pid']}/status") as status:
            lines = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
        self.assertEqual(lines["Uid"].split(), [str(uid)] * 4)
        self.assertEqual(lines["Gid"].split(), [str(uid)] * 4)
        self.assertEqual(lines["Groups"].strip(), "")
        self.assertTrue(self.call("observe")["isolatesUsers"])

    def test_a_neighbour_and_the_containers_own_files_are_out_of_reach(self):
        self.call("apply", self.spec("bob", "true", run=False, slot=1, files=[file("secret", "1", 0o644)]))
        targets = ["bots/bob/secret", "bots", "bots/bob", "supervisord.conf", "fences.json", "logs", "archives", "run/notify/1/notify.sock"]
        script = f"import os\nfor p in {targets!r}: print(p, os.access({self.supervisord.directory!r} + '/' + p, os.R_OK))"
        self.call("apply", self.spec("ann", bot("hang")[0], "-c", script))
        self.until_state("ann", "backoff")
        lines = self.output("ann").split("\n")[: len(targets)]
        self.assertEqual(lines, [f"{target} False" for target in targets])

    def test_a_link_to_what_only_root_may_write_gets_nowhere(self):
        self.call("apply", self.spec("ann", "true", run=False))
        victim = self.supervisord.path("victim")
        with open(victim, "w") as out:
            out.write("mine")
        os.symlink(victim, self.supervisord.path("bots", "ann", "a"))
        self.call("apply", self.spec("ann", "true", run=False, files=[file("a", "1")]))
        with open(victim) as found:
            self.assertEqual(found.read(), "mine")

    def test_a_bot_that_comes_back_in_another_slot_owns_its_files(self):
        spec = self.spec("ann", "true", run=False, files=[file("d/a", "1")])
        self.call("apply", spec)
        self.call("apply", self.spec("ann", *bot("hang"), slot=5, files=[]))
        self.assertEqual(os.stat(self.supervisord.path("bots", "ann", "d", "a")).st_uid, UID_BASE + FIRST_PORT + 5)
        self.assertFault(1003, "apply", self.spec("ann", *bot("hang"), slot=6))


if __name__ == "__main__":
    unittest.main()
