"""Reading /proc. A process may end at any time: then there is nothing to read, and the answer is None or empty."""

import os
from dataclasses import dataclass

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
# Of a process whose children are looked for, so that a thousand threads do not hold the loop.
MOST_THREADS = 200


@dataclass(frozen=True)
class Stat:
    state: str
    session: int
    cpu_seconds: float
    """Start time in clock ticks since boot: with the pid it names a process for good."""
    start: int


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def stat(pid):
    text = _read(pid, "stat")
    if text is None:
        return None
    # The name in parentheses may hold anything, so count from its end.
    fields = text[text.rindex(b")") + 2 :].split()
    ticks = sum(int(value) for value in fields[11:15])
    return Stat(state=fields[0].decode(), session=int(fields[3]), cpu_seconds=ticks / TICKS, start=int(fields[19]))


def environ(pid):
    """Entries `NAME=value` as bytes, as they were when the program was started."""
    return (_read(pid, "environ") or b"").split(b"\0")


def memory(pid):
    """A MemorySample of lib/domain/agent.ts, or None when it may not be read. Takes milliseconds for a large process."""
    text = _read(pid, "smaps_rollup")
    if not text:
        return None
    sizes = {name: int(value) * 1024 for name, value, *_ in map(bytes.split, text.splitlines()[1:])}
    private = sizes[b"Private_Clean:"] + sizes[b"Private_Dirty:"]
    return {
        "pssBytes": sizes[b"Pss:"],
        "rssBytes": sizes[b"Rss:"],
        "privateBytes": private,
        "sharedBytes": sizes[b"Rss:"] - private,
        "swapBytes": sizes[b"SwapPss:"],
    }


def open_files(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return None


def open_paths(pid):
    """Paths by which its open files can be looked at, deleted ones too."""
    try:
        return [f"/proc/{pid}/fd/{name}" for name in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return []


def socket_inodes(pid):
    """Inodes of its sockets."""
    found = set()
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(f"/proc/{pid}/fd/{name}")
            except FileNotFoundError:
                continue
            if target.startswith("socket:["):
                found.add(int(target[8:-1]))
    except OSError:
        pass
    return found


def resident(pid):
    """Bytes in memory, shared or not. Takes no time, and may be asked of any process; or None."""
    text = _read(pid, "statm")
    return int(text.split()[1]) * PAGE if text else None


def written(pid):
    """Bytes it and its former children wrote, to whatever, at least by as much as they made files grow; or None when it may not be read."""
    text = _read(pid, "io")
    if not text:
        return None
    counters = dict(line.split(b": ") for line in text.splitlines())
    # What is written through a mapping is only in the second.
    return max(int(counters[b"wchar"]), int(counters[b"write_bytes"]))


def tree(pid):
    """The process and its descendants, found one by one as they are asked for: there may be thousands."""
    found = [pid]
    for parent in found:
        yield parent
        found.extend(_children(parent))


def _children(pid):
    found = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task")[:MOST_THREADS]:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found.extend(int(child) for child in file.read().split())
    except OSError:
        pass
    return found


def _read(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except OSError:
        return None
