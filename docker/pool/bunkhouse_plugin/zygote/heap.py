"""Making the heap cheap to share: pages that nobody writes to stay one page for all bots."""

import ctypes
import gc
import sys
import types

PR_SET_THP_DISABLE = 41
PR_SET_MEMORY_MERGE = 67

# What stands in place of an immortal object's reference count, by Python version: all 64 bits of None's, and those we set.
# Include/object.h and, since 3.14, Include/refcount.h: _Py_IMMORTAL_REFCNT, _Py_IMMORTAL_INITIAL_REFCNT, _Py_IMMORTAL_FLAGS.
# 3.14 takes references it counted before off all the same, and counts anew what falls below 3 << 30: so we begin well above.
IMMORTAL = {
    (3, 12): (0xFFFF_FFFF, 0xFFFF_FFFF),
    (3, 13): (0xFFFF_FFFF, 0xFFFF_FFFF),
    (3, 14): (5 << 48 | 3 << 30, 1 << 48 | 7 << 29),
}
IMMORTAL_BIT = 1 << 31

_libc = ctypes.CDLL(None, use_errno=True)


def keep_pages_small():
    """No huge pages, here and in the bots: a write copies 4 KiB instead of 2 MiB. Before the imports; where it is refused, it only costs more."""
    _libc.prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)


def immortal_count():
    """(the count to set, why none is known). Asked before anything is imported: older extensions do count references to None."""
    nones, ours = IMMORTAL.get(sys.version_info[:2], (None, None))
    if nones is None:
        return None, f"reference counts stay mortal: Python {sys.version.split()[0]} is not one we know how to make them immortal in"
    if "t" in sys.abiflags or _count(None).value != nones:
        return None, "reference counts stay mortal: this build of Python keeps them in another way"
    return ours, ""


def make_immortal(count):
    """Gives every object there is this count, so that using it does not write to its page.

    The objects are never freed, which in a zygote they would not be either.
    """
    stack = gc.get_objects()
    while stack:
        found = stack.pop()
        kind = type(found)  # not isinstance: that asks the object for its __class__, which of a proxy may run or raise anything
        present = _count(found)
        if present.value & IMMORTAL_BIT or kind is types.FrameType:
            continue
        present.value = count
        if kind is types.CodeType:  # unknown to the collector, like what it holds
            stack += (found.co_consts, found.co_names, found.co_name, found.co_qualname, found.co_filename)
            stack += (found.co_linetable, found.co_exceptiontable)
        stack += gc.get_referents(found)


def ask_for_merging():
    """Has the kernel merge equal pages of this process and its children: (whether it agreed, why not)."""
    if _libc.prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0) != 0:
        return False, "equal pages are not merged: the kernel refuses (it takes Linux 6.4 with KSM)"
    return True, ""


def settle():
    """The last thing before the first fork."""
    gc.freeze()
    trim = getattr(_libc, "malloc_trim", None)
    if trim is not None:  # glibc: a bot's new objects come on fresh pages instead of copies of half-empty ones
        trim(0)


def _count(found):
    return ctypes.c_uint64.from_address(id(found))
