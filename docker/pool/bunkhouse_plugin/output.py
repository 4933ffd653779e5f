"""A bot's output, read in pieces that never cut a character in two."""

import os

from .faults import INVALID, NOT_FOUND, Fault

LONGEST = 256 << 10
SHORTEST = 4  # bytes of the longest character


def read(path, offset, length, known):
    """LogChunk of lib/domain/agent.ts. A bot that is `known` but has written nothing has an empty log. Raises NOT_FOUND."""
    if not SHORTEST <= length <= LONGEST:
        raise Fault(INVALID, f"length must be from {SHORTEST} to {LONGEST}")
    try:
        file = open(path, "rb")
    except FileNotFoundError:
        if known:
            return {"file": "", "offset": 0, "next": 0, "size": 0, "data": ""}
        raise Fault(NOT_FOUND, "there is no output of that name") from None
    with file:
        found = os.fstat(file.fileno())
        start = max(0, found.st_size + offset) if offset < 0 else min(offset, found.st_size)
        file.seek(start)
        data = file.read(length)
    skipped = _continuation(data) if start > 0 else 0
    data = data[skipped : len(data) - _begun(data)]
    start += skipped
    return {
        "file": str(found.st_ino),
        "offset": start,
        "next": start + len(data),
        "size": found.st_size,
        "data": data.decode(errors="replace"),
    }


def _continuation(data):
    """Bytes at the start that belong to a character begun before, at most three."""
    count = 0
    while count < min(3, len(data)) and data[count] & 0xC0 == 0x80:
        count += 1
    return count


def _begun(data):
    """Bytes at the end that begin a character whose rest is still to come."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        width = 2 if byte >> 5 == 0b110 else 3 if byte >> 4 == 0b1110 else 4 if byte >> 3 == 0b11110 else 1
        return back if width > back else 0
    return 0
