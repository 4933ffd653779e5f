"""Ceilings on what a bot may use in the end: of memory and of its directory. What they mean is decided here. Pure.

They are watched, not enforced by the kernel, so a bot is warned of and then ended gracefully before any harder wall is hit.
"""

from dataclasses import dataclass

from .units import amount

NEAR = 0.9


@dataclass(frozen=True)
class Used:
    """What was measured last. None: not yet."""

    sample: dict | None = None  # as the sampler has it
    disk: int | None = None
    trouble: str = ""  # why the directory could not be measured


def memory_used(sample):
    """Swapped out is not gone: counted too."""
    memory = sample and sample["memory"]
    return memory["pssBytes"] + memory["swapBytes"] if memory else None


def excess(limits, used):
    """Why a living bot must be ended, or ""."""
    memory = memory_used(used.sample)
    if _is_above(memory, limits.pss_bytes):
        return f"used {amount(memory)} of memory, its ceiling is {amount(limits.pss_bytes)}"
    return full(limits, used)


def full(limits, used):
    """Why a bot may not go on for want of room, or ""."""
    if not _is_above(used.disk, limits.disk_bytes):
        return ""
    return (
        f"its directory holds {amount(used.disk)}, its ceiling is {amount(limits.disk_bytes)}: remove files or raise diskBytes; "
        f"below {amount(limits.disk_bytes * NEAR)} it is started again"
    )


def hold(before, limits, used):
    """Why a bot is not started for want of room, or ""; `before` is why it was not until now.

    Once it was full, there must be some room: it would not run for long on a single byte.
    """
    room = limits.disk_bytes is None or used.disk is None or used.disk < limits.disk_bytes * NEAR
    return full(limits, used) or ("" if room else before)


def warning(limits, used):
    """What will soon be a reason, or ""."""
    memory = memory_used(used.sample)
    found = []
    if _is_near(memory, limits.pss_bytes):
        found.append(f"uses {amount(memory)} of memory, near its ceiling of {amount(limits.pss_bytes)}")
    if _is_near(used.disk, limits.disk_bytes):
        found.append(f"its directory holds {amount(used.disk)}, near its ceiling of {amount(limits.disk_bytes)}")
    if used.trouble and limits.disk_bytes is not None:
        found.append(f"the size of its directory is not known: {used.trouble}")
    return "; ".join(found)


def _is_above(used, ceiling):
    return used is not None and ceiling is not None and used > ceiling


def _is_near(used, ceiling):
    """Below it still: above, there is a reason and no need for a warning."""
    return used is not None and ceiling is not None and ceiling * NEAR < used <= ceiling
