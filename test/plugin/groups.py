"""This machine's cgroups, for tests."""

import os
import sys
import time

from harness import PLUGIN

sys.path.insert(0, PLUGIN)

from bunkhouse_plugin.cgroup_trees import find_trees  # noqa: E402

with open("/proc/self/cgroup") as cgroup, open("/proc/self/mountinfo") as mountinfo:
    TREES = find_trees(cgroup.read(), mountinfo.read())


def of(pid, controller):
    """The path of a process's cgroup."""
    for line in read(f"/proc/{pid}/cgroup").splitlines():
        if controller in line.split(":")[1].split(","):
            return TREES[controller].mount + line.split(":")[2]
    raise AssertionError(f"{pid} is in no cgroup for {controller}")


def pids(path):
    return [int(pid) for pid in read(f"{path}/cgroup.procs").split()]


def read(path):
    with open(path) as file:
        return file.read()


def clear(path):
    """Removes a cgroup and those below it, of which the processes are dying."""
    deadline = time.monotonic() + 5
    for folder, _, _ in os.walk(path, topdown=False):
        while os.path.exists(folder):
            try:
                os.rmdir(folder)
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
