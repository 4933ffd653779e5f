"""Cgroups: what is decided from the kernel's tables; and version 2's rules, in the real tree."""

import os
import subprocess
import sys
import unittest
from dataclasses import replace

from groups import TREES, clear, pids, read
from harness import PLUGIN

sys.path.insert(0, PLUGIN)

from bunkhouse_plugin import cgroup_v2  # noqa: E402
from bunkhouse_plugin.cgroup_settings import Kills, memory_wall, read_kills, settings  # noqa: E402
from bunkhouse_plugin.cgroup_trees import Tree, find_trees  # noqa: E402
from bunkhouse_plugin.cgroup_v2 import Base, Facts, Unfit  # noqa: E402
from bunkhouse_plugin.spec import Limits  # noqa: E402

MIB = 1 << 20
LIMITS = Limits(memory_bytes=None, pss_bytes=100 * MIB, disk_bytes=None, cpu_weight=50, open_files=None, processes=20, nice=0)


class Trees(unittest.TestCase):
    V1 = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"

    def test_version_1_seen_from_the_host(self):
        mounts = self.V1 + "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n36 31 0:33 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        trees = find_trees("4:memory:/system.slice/bunkhouse.service\n2:cpu,cpuacct:/\n1:name=systemd:/x\n", mounts)
        self.assertEqual(trees["memory"].path, "/sys/fs/cgroup/memory/system.slice/bunkhouse.service")
        self.assertEqual(trees["cpu"], Tree(1, "/sys/fs/cgroup/cpu,cpuacct", "/"))
        self.assertNotIn("name=systemd", trees)

    def test_version_1_in_a_container_with_the_namespace_of_the_host(self):
        mounts = "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory\n"
        self.assertEqual(find_trees("4:memory:/docker/abc\n", mounts)["memory"].path, "/sys/fs/cgroup/memory")
        self.assertEqual(find_trees("4:memory:/docker/abc/slot-1\n", mounts)["memory"].path, "/sys/fs/cgroup/memory/slot-1")
        self.assertEqual(find_trees("4:memory:/docker/abcdef\n", mounts), {})

    def test_version_2_in_a_namespace_of_its_own_and_on_a_host(self):
        mounts = "35 31 0:32 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw,nsdelegate\n"
        self.assertEqual(find_trees("0::/\n", mounts)["unified"], Tree(2, "/sys/fs/cgroup", "/"))
        self.assertEqual(find_trees("0::/user.slice/x\n", mounts)["unified"].path, "/sys/fs/cgroup/user.slice/x")

    def test_what_lies_above_the_root_of_the_namespace_is_out_of_reach(self):
        inside = "35 31 0:32 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
        outside = "35 31 0:32 /../.. /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
        self.assertEqual(find_trees("0::/../other\n", inside), {})
        self.assertEqual(find_trees("0::/\n", outside), {})

    def test_a_mount_below_another_is_not_seen(self):
        own = "35 31 0:32 / /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
        self.assertEqual(find_trees("4:memory:/\n", own + "36 35 0:32 /.. /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"), {})
        self.assertEqual(find_trees("4:memory:/\n", own + "36 35 0:40 / /sys/fs/cgroup/memory rw - tmpfs tmpfs rw\n"), {})

    def test_mount_points_with_blanks(self):
        mounts = "35 31 0:32 / /my\\040cgroups rw - cgroup2 cgroup rw\n"
        self.assertEqual(find_trees("0::/a\n", mounts)["unified"].path, "/my cgroups/a")


class Bases(unittest.TestCase):
    FACTS = Facts(own="/a/b", is_root=False, delegated=False, parent_delegated=False, systemd=False)

    def test_where_to_make_groups(self):
        cases = [
            ("a container", {"own": "/", "systemd": True}, Base("/", "all")),
            ("a container, once it has moved", {"own": "/bunkhouse-main"}, Base("/", "all")),
            ("the root of the machine", {"own": "/", "is_root": True}, Base("/", "nobody")),
            ("a service in a leaf of its own", {"parent_delegated": True, "systemd": True}, Base("/a", "nobody")),
            ("without systemd", {}, Base("/a/b", "self")),
            ("without systemd, once it has moved", {"own": "/a/b/bunkhouse-main"}, Base("/a/b", "self")),
        ]
        for what, facts, base in cases:
            self.assertEqual(cgroup_v2.choose_base(replace(self.FACTS, **facts)), base, what)

    def test_what_is_systemds_is_left_alone(self):
        with self.assertRaisesRegex(Unfit, "Delegate=yes"):
            cgroup_v2.choose_base(replace(self.FACTS, systemd=True))
        with self.assertRaisesRegex(Unfit, "DelegateSubgroup"):
            cgroup_v2.choose_base(replace(self.FACTS, systemd=True, delegated=True))


class Settings(unittest.TestCase):
    def text(self, version, limits=LIMITS):
        return {entry.file: entry.text for controller in ("memory", "pids", "cpu") for entry in settings(controller, version, limits)}

    def test_both_versions(self):
        wall = str(125 * MIB)
        self.assertEqual(self.text(1), {"memory.limit_in_bytes": wall, "memory.memsw.limit_in_bytes": wall, "pids.max": "20", "cpu.shares": "512"})
        self.assertEqual(self.text(2), {"memory.max": wall, "memory.swap.max": "0", "memory.oom.group": "1", "pids.max": "20", "cpu.weight": "50"})

    def test_no_limits(self):
        limits = replace(LIMITS, pss_bytes=None, processes=None, cpu_weight=1)
        self.assertEqual(self.text(1, limits), {"memory.limit_in_bytes": "-1", "memory.memsw.limit_in_bytes": "-1", "pids.max": "max", "cpu.shares": "10"})
        self.assertEqual(self.text(2, limits), {"memory.max": "max", "memory.swap.max": "max", "memory.oom.group": "1", "pids.max": "max", "cpu.weight": "1"})

    def test_the_wall_is_whole_pages(self):
        self.assertEqual(memory_wall(replace(LIMITS, pss_bytes=10 * MIB + 1)) % 4096, 0)

    def test_kills(self):
        two = {"memory.events": "low 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n"}
        self.assertEqual(read_kills(2, two.get), Kills(2, 3))
        one = {"memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", "memory.limit_in_bytes": "100000000\n", "memory.max_usage_in_bytes": "99999744\n"}
        self.assertEqual(read_kills(1, one.get), Kills(2, 2))
        self.assertEqual(read_kills(1, {**one, "memory.max_usage_in_bytes": "50000000\n"}.get), Kills(2, 0))
        self.assertEqual(read_kills(1, lambda name: ""), Kills(0, 0))


@unittest.skipUnless(os.geteuid() == 0 and "unified" in TREES, "takes root and cgroups of version 2")
class VersionTwo(unittest.TestCase):
    """In the real tree. Where version 1 has the controllers that matter, another one shows the same rules."""

    def setUp(self):
        path = os.path.join(TREES["unified"].path, f"test-bunkhouse-{os.getpid()}")
        os.mkdir(path)
        self.addCleanup(clear, path)
        self.tree = Tree(2, path, "/")
        self.controllers = set(read(os.path.join(TREES["unified"].path, "cgroup.controllers")).split())

    def test_without_controllers_it_says_so(self):
        with self.assertRaisesRegex(Unfit, "is delegated"):
            cgroup_v2.prepare(self.tree, "mine", {"no-such-controller"})

    def test_everybody_leaves_for_a_leaf_before_controllers_are_given_to_children(self):
        controller = self.delegate()
        inside = [self.sleeper(), self.sleeper()]
        with self.assertRaises(OSError, msg="the rule this is all about does not hold here"):
            cgroup_v2.write(self.tree.mount, "cgroup.subtree_control", f"+{controller}")
        folder, there = cgroup_v2.prepare(self.tree, "mine", {controller, "no-such-controller"})
        self.assertEqual((folder, there), (f"{self.tree.mount}/mine", {controller}))
        self.assertEqual(self.pids("."), [])
        self.assertEqual(sorted(self.pids("bunkhouse-main")), sorted(inside))
        slot = f"{folder}/slot-3"
        os.mkdir(slot)
        self.assertIn(controller, read(f"{slot}/cgroup.controllers"))
        cgroup_v2.write(slot, "cgroup.procs", str(inside[0]))
        self.assertEqual(self.pids("mine/slot-3"), [inside[0]])
        # A second supervisord of the container, and the first one after a restart.
        moved = Tree(2, self.tree.mount, "/bunkhouse-main")
        self.assertEqual(cgroup_v2.prepare(moved, "other", {controller})[0], f"{self.tree.mount}/other")

    def test_processes_that_are_not_ours_are_not_moved(self):
        controller = self.delegate()
        cgroup_v2.write(self.tree.mount, "cgroup.subtree_control", f"+{controller}")
        os.mkdir(f"{self.tree.mount}/service")
        stranger = self.sleeper("service")
        with self.assertRaisesRegex(Unfit, "other processes are in .*/service"):
            cgroup_v2.prepare(Tree(2, self.tree.mount, "/service"), "mine", {controller})
        self.assertEqual(self.pids("service"), [stranger])

    def delegate(self):
        """Has a controller given to the test's cgroup, and names it."""
        if not self.controllers:
            self.skipTest("version 2 has no controllers here")
        controller = sorted(self.controllers)[0]
        top = os.path.dirname(self.tree.mount)
        before = read(f"{top}/cgroup.subtree_control").split()
        try:
            cgroup_v2.write(top, "cgroup.subtree_control", f"+{controller}")
        except OSError as error:
            self.skipTest(f"{controller} cannot be given to {self.tree.mount}: {error}")
        if controller not in before:
            self.addCleanup(cgroup_v2.write, top, "cgroup.subtree_control", f"-{controller}")
        # Cleanups run backwards: the test's cgroup goes first.
        self.addCleanup(clear, self.tree.mount)
        return controller

    def sleeper(self, group="."):
        process = subprocess.Popen(["sleep", "60"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        cgroup_v2.write(f"{self.tree.mount}/{group}", "cgroup.procs", str(process.pid))
        return process.pid

    def pids(self, group):
        return pids(f"{self.tree.mount}/{group}")


if __name__ == "__main__":
    unittest.main()
