"""Making the heap cheap to share: pages that nobody writes to stay one page for all bots."""

import ctypes
import gc
import sys
import types

PR_SET_MEMORY_MERGE = 67

# Reference count of an immortal object, in the low 32 bits of the field, by Python version: Include/object.h and, since
# 3.14, Include/refcount.h, _Py_IMMORTAL_REFCNT and _Py_IMMORTAL_INITIAL_REFCNT.
IMMORTAL = {(3, 12): 0xFFFF_FFFF, (3, 13): 0xFFFF_FFFF, (3, 14): 3 << 30}

_libc = ctypes.CDLL(None, use_errno=True)


def make_immortal():
    """Gives every object there is an immortal reference count, so that using it does not write to its page.

    (whether it was done, why not). The objects are never freed, which in a zygote they would not be either.
    """
    value = IMMORTAL.get(sys.version_info[:2])
    if value is None:
        return False, f"reference counts stay mortal: Python {sys.version.split()[0]} is not one we know how to make them immortal in"
    if "t" in sys.abiflags or _count(None).value != value:
        return False, "reference counts stay mortal: this build of Python keeps them in another way"
    _immortalize_from(gc.get_objects(), value)
    return True, ""


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


def _immortalize_from(stack, value):
    """All that can be reached from the objects on the stack. What bears the value already needs no second look."""
    while stack:
        found = stack.pop()
        count = _count(found)
        kind = type(found)  # not isinstance: that asks the object for its __class__, which of a proxy may run or raise anything
        if count.value == value or kind is types.FrameType:
            continue
        count.value = value
        if kind is types.CodeType:  # unknown to the collector, like what it holds
            stack += (found.co_consts, found.co_names, found.co_name, found.co_qualname, found.co_filename)
            stack += (found.co_linetable, found.co_exceptiontable)
        stack += gc.get_referents(found)


def _count(found):
    return ctypes.c_uint32.from_address(id(found))
