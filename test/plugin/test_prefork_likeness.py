"""A forked bot sees of itself what an executed one does, and differs from its siblings where processes must."""

import os
import sys
import unittest

from prefork import EXECUTED, FORKED, PREFORK, PreforkTest, prefork, warmup

LIMITS = {"memoryBytes": 2 << 30, "pssBytes": None, "diskBytes": 1 << 30, "cpuWeight": 100, "openFiles": 200, "processes": 300, "nice": 5}
# The libraries' own descriptors are those of their files; what else is open must be the same.
OWN = {"loadedBy", "chances"}


class LikenessTest(PreforkTest):
    maxDiff = None

    def both(self, way=PREFORK, **changes):
        """What the same bot says when forked, and when executed."""
        answers = []
        for prefork, spawn in ((way, FORKED), (None, EXECUTED)):
            seen = self.serving("ann", prefork=prefork, **changes)
            self.assertEqual(seen["spawn"], spawn)
            answers.append(self.facts())
            self.stop("ann")
        return answers

    def assertAlike(self, forked, executed):
        for name in sorted(forked.keys() - OWN):
            with self.subTest(name):
                self.assertEqual(forked[name], executed[name])

    def test_sees_the_same(self):
        env = {"TZ": "Asia/Tokyo", "SECRET": "ä =x\n", "EMPTY": ""}
        forked, executed = self.both(env=env, limits=LIMITS)
        self.assertNotEqual(forked["loadedBy"], executed["loadedBy"])
        self.assertAlike(forked, executed)

    def test_sees_the_same_where_the_zygote_has_read_its_own_environment_before(self):
        env = {"HOME": "/nowhere", "LANG": "C.UTF-8", "TMPDIR": "/var/tmp"}
        forked, executed = self.both(env=env, way=warmup("import tempfile, time, random", "tempfile.gettempdir(), time.localtime(), random.seed(1)"))
        self.assertEqual(forked["temporary"], "/var/tmp")
        self.assertAlike(forked, executed)

    def test_found_in_path_by_a_link(self):
        """Its argv[0] is the full path, and its sys.path begins where the link leads."""
        folder = os.path.join(self.folder, "bin")
        os.makedirs(folder, exist_ok=True)
        link = os.path.join(folder, "tool")
        if not os.path.exists(link):
            os.symlink(self.script, link)
        path = os.pathsep.join([folder, os.path.dirname(sys.executable), os.environ["PATH"]])
        forked, executed = self.both(command=["tool"], env={"PATH": path}, way=prefork(env={"PATH": path}))
        self.assertEqual((forked["argv"], forked["path"][0]), ([link, "serve"], self.folder))
        self.assertAlike(forked, executed)

    def test_shows_in_ps_what_it_is(self):
        pid = self.serving("ann", command=[self.script])["pid"]
        with open(f"/proc/{pid}/cmdline") as cmdline, open(f"/proc/{pid}/comm") as comm, open(f"/proc/{pid}/environ") as environ:
            self.assertEqual((cmdline.read().rstrip("\0").split(), comm.read().strip()), ([self.script, "serve"], "app"))
            self.assertIn("BUNKHOUSE_BOT=ann", environ.read().split("\0"))

    def test_arguments_longer_than_the_room_for_them_do_no_harm(self):
        long = "x" * 5000
        self.bot("ann", "serve", long, readiness={"kind": "listen", "startupSeconds": 20, "watchdogSeconds": None})
        pid = self.until_state("ann", "running")["pid"]
        self.assertEqual(self.facts()["argv"], [self.script, "serve", long])
        with open(f"/proc/{pid}/cmdline") as file:
            self.assertTrue(file.read().startswith(f"{self.script} serve xxx"))

    def test_siblings_have_chances_of_their_own(self):
        """numpy is part of it where it is installed."""
        preload = ["numpy", "uuid", "secrets", "multiprocessing"]
        for slot in range(3):
            self.assertEqual(self.serving(f"bot{slot}", prefork=prefork(preload=preload, env={"OPENBLAS_NUM_THREADS": "1"}), slot=slot)["spawn"], FORKED)
        seen = [self.facts(slot)["chances"] for slot in range(3)]
        for name in seen[0]:
            self.assertEqual(len({sibling[name] for sibling in seen}), 3, name)
        missing = any("numpy" in note for note in self.zygote()["notes"])
        self.assertNotEqual("numpy" in seen[0], missing)


if __name__ == "__main__":
    unittest.main()
