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


def check_alone(descriptor):
    """One thread, no child, nothing open but the standard descriptors and our socket.

    Threads do not come along in a fork, and the locks they hold stay locked; sockets, event loops and files would be shared by all bots.
    """
    threads = os.listdir("/proc/self/task")
    if len(threads) > 1:
        names = ", ".join(sorted({_thread_name(thread) for thread in threads if int(thread) != os.getpid()}))
        raise Failure(f"{len(threads)} threads after the preload ({names}), and a fork takes only one along: see prefork.env, warmup")
    if children := _children():
        raise Failure(f"the preload left child processes: {', '.join(children)}")
    if left := _open_descriptors(descriptor):
        raise Failure(f"the preload left open: {', '.join(left)}")


def _children():
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return file.read().split()


def _thread_name(thread):
    with open(f"/proc/self/task/{thread}/comm") as file:
        return file.read().strip()


def _open_descriptors(ours):
    found = []
    for name in os.listdir("/proc/self/fd"):
        if int(name) <= 2 or int(name) == ours:
            continue
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            continue  # the listing's own
    return found
