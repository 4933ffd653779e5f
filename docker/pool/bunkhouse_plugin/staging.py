"""From an uploaded archive to a bot's directory: unpacked beside it, checked, and put in its place in one step.

Runs in a helper process. Broken off anywhere, the directory is either the old one or the new one, whole.
"""

import ctypes
import hashlib
import os

from . import trees, worker
from .faults import INTERNAL, INVALID, Fault
from .trees import DIRECTORY

RENAME_EXCHANGE = 2
AT_FDCWD = -100
MOST_ENTRIES = 1_000_000

_libc = ctypes.CDLL(None, use_errno=True)


def restore(archive, sha256, home, staged, note, limits):
    """What was unpacked (`unpack.py`). Raises INVALID, and then nothing has changed. `note` is told how to tell the new directory from the old one."""
    with open(archive, "rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise Fault(INVALID, "what arrived is not what was sent (SHA-256 differs): send it again")
        file.seek(0)
        uid = user_of(home)
        discard(staged)
        os.mkdir(staged, 0o700)
        try:
            if uid is not None:
                os.chown(staged, uid, uid)
            limits = {**limits, "max_entries": MOST_ENTRIES}
            answer = worker.work("unpack", limits, uid, staged, file.fileno())
            _sync(staged)
            note(os.lstat(staged).st_ino)
            _exchange(staged, home)
        finally:
            discard(staged)
    return answer


def user_of(home):
    """Whose a bot's directory is; None: supervisord's own, when bots have no users of their own."""
    owner = os.lstat(home).st_uid
    return None if owner == os.geteuid() else owner


def discard(staged):
    """Removes what was unpacked or replaced. No-op when absent."""
    parent = os.open(os.path.dirname(staged), DIRECTORY)
    try:
        trees.remove(parent, os.path.basename(staged))
    finally:
        os.close(parent)


def _exchange(one, other):
    source, target = os.fsencode(one), os.fsencode(other)
    if _libc.renameat2(AT_FDCWD, source, AT_FDCWD, target, RENAME_EXCHANGE) != 0:
        error = ctypes.get_errno()
        hint = "the filesystem must be able to exchange directories, as ext4, xfs, btrfs and tmpfs are"
        raise Fault(INTERNAL, f"the restored directory cannot take its place: {os.strerror(error)}; {hint}")
    for path in (one, other):
        _fsync(os.path.dirname(path))


def _sync(folder):
    opened = os.open(folder, DIRECTORY)
    try:
        if _libc.syncfs(opened) != 0:
            raise Fault(INTERNAL, f"the restored directory cannot be made durable: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(opened)


def _fsync(folder):
    opened = os.open(folder, DIRECTORY)
    os.fsync(opened)
    os.close(opened)
