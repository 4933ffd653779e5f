"""What is written into a bot's cgroup, and what is read from it when the bot died. Pure."""

import os
from dataclasses import dataclass

# Above the ceiling by so much that a graceful restart comes first, unless memory grows faster than it is measured. Pages
# shared with the zygote are not counted here: those are the zygote's.
WALL = 1.25
CONTROLLERS = ("memory", "pids", "cpu")
PAGE = os.sysconf("SC_PAGE_SIZE")
# Of the kernel.
MOST_SHARES, MOST_WEIGHT = 262_144, 10_000


@dataclass(frozen=True)
class Setting:
    """A file and its text. `needed`: an error if it is not there."""

    file: str
    text: str
    needed: bool = True


def memory_wall(limits):
    """Bytes, or None."""
    return None if limits.pss_bytes is None else int(limits.pss_bytes * WALL) // PAGE * PAGE


# Written at each start, so that the peak is of this run. Of version 1; version 2 counts what we want to know.
PEAK = Setting("memory.max_usage_in_bytes", "0")
# The kernel takes pages from a limit by the batch.
CHARGED_AT_ONCE = 1 << 20


def settings(controller, version, limits):
    """Of a fresh cgroup, in the order in which they are to be written."""
    none = "-1" if version == 1 else "max"
    if controller == "memory":
        wall = memory_wall(limits)
        text = none if wall is None else str(wall)
        if version == 1:
            # Not less than the former, so after it; not there where the kernel does not count swap.
            return [Setting("memory.limit_in_bytes", text), Setting("memory.memsw.limit_in_bytes", text, needed=False)]
        return [
            Setting("memory.max", text),
            Setting("memory.swap.max", none if wall is None else "0", needed=False),
            # A bot that lost one of its processes is of no use: all or none.
            Setting("memory.oom.group", "1", needed=False),
        ]
    if controller == "pids":
        return [Setting("pids.max", "max" if limits.processes is None else str(limits.processes))]
    return [cpu(version, limits.cpu_weight)]


def cpu(version, weight):
    """The share of a weight, where 100 is that of one bot, or of several together."""
    if version == 1:
        return Setting("cpu.shares", str(min(MOST_SHARES, max(2, weight * 1024 // 100))))
    return Setting("cpu.weight", str(min(MOST_WEIGHT, weight)))


@dataclass(frozen=True)
class Kills:
    """`ended`: processes ended by the kernel for want of memory, `full`: times it was for the group's own limit."""

    ended: int
    full: int


def read_kills(version, read):
    """`read(file)` gives the text of a file of the group, empty for one that is not there."""
    if version == 2:
        events = read("memory.events")
        return Kills(_counter(events, "oom_kill"), _counter(events, "oom"))
    ended = _counter(read("memory.oom_control"), "oom_kill")
    if ended == 0:
        return Kills(0, 0)
    # Version 1 does not tell whose limit it was, and its memory.failcnt stays 0 on new kernels: but it knows the peak.
    limit, peak = (int(read(file) or 0) for file in ("memory.limit_in_bytes", PEAK.file))
    return Kills(ended, ended if peak > limit - CHARGED_AT_ONCE else 0)


def _counter(text, name):
    found = [line.split()[1] for line in text.splitlines() if line.split()[:1] == [name]]
    return int(found[0]) if found else 0
