"""Whose a cgroup is: its owner holds a lock on its directory for as long as it lives.

So a supervisord that was killed leaves nothing for good: the next one to start beside it takes its empty groups away.
"""

import fcntl
import os

PREFIX = "bunkhouse-"
SLOT = "slot-"
# Of version 2: where the processes go that are no bots. Nobody's, and never in the way.
LEAF = "bunkhouse-main"


def claim(path):
    """Makes the cgroup and holds it until this process ends. Raises OSError."""
    while True:
        os.makedirs(path, exist_ok=True)
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        # Shared: an earlier life of ours may not have ended quite.
        fcntl.flock(folder, fcntl.LOCK_SH)
        if _is_at(folder, path):
            return
        os.close(folder)  # swept away between the first line and the third


def sweep(base, claimed):
    """Removes the groups in `base` that nobody holds, and the empty ones of slots in those `claimed`."""
    for name in _names(base, PREFIX):
        path = os.path.join(base, name)
        if path in claimed:
            remove_slots(path)
        elif name != LEAF and (folder := _hold(path)):
            remove_slots(path)
            remove(path)
            os.close(folder)


def remove_slots(path):
    for name in _names(path, SLOT):
        remove(os.path.join(path, name))


def remove(path):
    """Unless somebody is in it."""
    try:
        os.rmdir(path)
    except OSError:
        pass


def _hold(path):
    """A descriptor that holds the group for us alone, or None."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return folder
    except OSError:
        os.close(folder)
        return None


def _is_at(folder, path):
    try:
        return os.path.samestat(os.fstat(folder), os.stat(path))
    except FileNotFoundError:
        return False


def _names(path, prefix):
    try:
        return [name for name in os.listdir(path) if name.startswith(prefix)]
    except OSError:
        return []
