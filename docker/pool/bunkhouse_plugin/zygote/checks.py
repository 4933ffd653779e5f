"""What must hold before bots may be forked. Each raises Failure with what was found."""

import os
import sys

from .failure import Failure

OLDEST, NEWEST = (3, 11), (3, 14)


def check_python():
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        version = ".".join(map(str, sys.version_info[:2]))
        raise Failure(f"Python {version} was never tried with prefork; 3.11 to 3.14 were")
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        raise Failure("this Python has no global interpreter lock, and then a fork is not safe")


def check_alone(ours, libraries):
    """One thread, no child, nothing open but the standard descriptors, our socket and the descriptors of libraries.

    Threads do not come along in a fork, and the locks they hold stay locked; sockets, event loops and files would be shared by all bots.
    """
    threads = os.listdir("/proc/self/task")
    if len(threads) > 1:
        names = ", ".join(sorted({_thread_name(thread) for thread in threads if int(thread) != os.getpid()}))
        raise Failure(f"{len(threads)} threads after the preload ({names}), and a fork takes only one along: see prefork.env, warmup")
    if children := _children():
        raise Failure(f"the preload left child processes: {', '.join(children)}")
    known = {0, 1, 2, ours, *libraries}
    if left := [path for number, path in _open_descriptors() if number not in known]:
        raise Failure(f"the preload left open: {', '.join(left)}")


def library_descriptors():
    """Those of libraries that hold their own file open to map it again. Closed under them, they would map what gets the number next.

    libffi does so, for the callbacks of ctypes.
    """
    with open("/proc/self/maps") as file:
        code = {fields[5] for fields in (line.rstrip("\n").split(None, 5) for line in file) if len(fields) == 6 and "x" in fields[1]}
    return [number for number, path in _open_descriptors() if number > 2 and path in code]


def _children():
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return file.read().split()


def _thread_name(thread):
    with open(f"/proc/self/task/{thread}/comm") as file:
        return file.read().strip()


def _open_descriptors():
    """[(number, what it is)]"""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append((int(name), os.readlink(f"/proc/self/fd/{name}")))
        except FileNotFoundError:
            continue  # the listing's own
    return found
