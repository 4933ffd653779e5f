"""What other processes see of a bot's arguments and environment: /proc shows the memory where the zygote's began."""

import ctypes
import os
from dataclasses import dataclass

from .. import children


@dataclass(frozen=True)
class Area:
    """Addresses."""

    arguments: tuple
    environment: tuple


def find_area():
    with open("/proc/self/stat", "rb") as file:
        text = file.read()
    # From the 48th field on (proc(5)): arg_start, arg_end, env_start, env_end. The third comes first after the name.
    addresses = [int(value) for value in text[text.rindex(b")") + 2 :].split()[45:49]]
    return Area(tuple(addresses[:2]), tuple(addresses[2:]))


def rewrite(area, argv, entries):
    """Puts the bot's arguments, and those `NAME=value` of its environment by which it is found, in place of the zygote's.

    The environment must have been taken over by os.environ before: nothing points to the old strings any more.
    """
    _fill(area.arguments, " ".join(argv).encode() + b"\0")
    _fill(area.environment, b"".join(entry.encode() + b"\0" for entry in entries))
    # A last byte that is not NUL tells the kernel that there is one title, which ends at its first NUL (fs/proc/base.c).
    ctypes.memset(area.arguments[1] - 1, ord("-"), 1)
    children.name_process(os.path.basename(argv[0]))


def _fill(span, data):
    start, end = span
    room = end - start - 2
    ctypes.memset(start, 0, end - start)
    ctypes.memmove(start, data[:room], min(len(data), room))
