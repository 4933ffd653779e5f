"""Letting go of the parts of programs and libraries that only the imports used.

A bot never gets them from its zygote anyway: of a file that nobody has written to, each process maps what it needs itself, from
the kernel's cache. In the zygote they would only keep the kernel from using that memory for something else.
"""

import ctypes
import mmap
from contextlib import suppress
from dataclasses import dataclass

_madvise = ctypes.CDLL(None, use_errno=True).madvise
_madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


@dataclass(frozen=True)
class Mapping:
    """A line of /proc/PID/smaps and what follows it."""

    start: int
    end: int
    mode: str  # such as "r-xp"
    path: str
    kib: dict  # by name, such as Rss


def let_go_of_files():
    """Where it is refused, it only costs more."""
    with suppress(OSError), open("/proc/self/smaps") as file:
        for mapping in parse(file):
            if _is_copy_of_file(mapping):
                _madvise(mapping.start, mapping.end - mapping.start, mmap.MADV_DONTNEED)


def parse(lines):
    """The Mappings in the text of an smaps file."""
    mappings = []
    for line in lines:
        name, *fields = line.split(None, 5)
        if not name.endswith(":"):
            start, end = (int(number, 16) for number in name.split("-"))
            mappings.append(Mapping(start, end, fields[0], fields[4].strip() if len(fields) > 4 else "", {}))
        elif fields[-1:] == ["kB"]:
            mappings[-1].kib[name[:-1]] = int(fields[0])
    return mappings


def _is_copy_of_file(mapping):
    """What is let go of must come back the same: nothing in it was ever written, by relocation for one."""
    readonly = mapping.mode[0] == "r" and mapping.mode[1] == "-" and mapping.mode[3] == "p"
    return readonly and mapping.path.startswith("/") and mapping.kib["Anonymous"] == 0
