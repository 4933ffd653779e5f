"""Files that a slot's user left outside its directory: wherever others than root may make any. Runs in a helper process."""

import os
import resource
import stat

from . import trees
from .trees import DIRECTORY
from .users import acting_as

# Elsewhere only root writes. Those below others are looked at for themselves only where something of their own is mounted.
PLACES = ("/tmp", "/var", "/var/tmp", "/run", "/run/lock", "/dev", "/dev/shm")


def clear(uid):
    """Removes everything that the user has made. Returns what is there nevertheless, as sentences: nothing, when the last search found nothing."""
    troubles = [_remove(folder, name, path, uid) for folder, name, path in _find(uid)]
    if not troubles:
        return []
    return list(filter(None, troubles)) or [f"{path!r} is there again" for _, _, path in _find(uid)]


def _find(uid):
    """Yields (open directory, name, path) of everything topmost."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the search holds one for each level
    try:
        for place in _places():
            yield from _search(place, uid)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _remove(folder, name, path, uid):
    """With the rights of root; in a directory that only lets a file's owner remove it, with those of the user."""
    try:
        trees.remove(folder, name)
        return None
    except PermissionError:
        pass
    except OSError as error:
        return f"{path!r} cannot be removed: {error.strerror}"
    try:
        with acting_as(uid):
            os.unlink(name, dir_fd=folder)
        return None
    except OSError as error:
        return f"{path!r} cannot be removed: {error.strerror}"


def _places():
    seen = set()
    for path in map(os.path.realpath, PLACES):
        try:
            device = os.stat(path).st_dev
        except FileNotFoundError:
            continue
        above = {other for other, mounted in seen if path.startswith(f"{other}/") and mounted == device}
        if not above and (path, device) not in seen:
            seen.add((path, device))
            yield path


def _search(place, uid):
    """Depth first. Every directory on the way down is held open, so what is found is what it seemed to be."""
    top = os.open(place, DIRECTORY)
    device = os.fstat(top).st_dev
    above = [(place, top, _names(top))]
    try:
        while above:
            path, folder, names = above[-1]
            if not names:
                os.close(above.pop()[1])
                continue
            name = names.pop()
            try:
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except (FileNotFoundError, PermissionError):
                continue  # gone, or a mount of somebody's own
            if found.st_uid == uid:
                if _may_make(os.fstat(folder)):
                    yield folder, name, os.path.join(path, name)
            elif stat.S_ISDIR(found.st_mode) and found.st_dev == device and not _is_closed(found):
                below = _open(folder, name)
                if below is not None:
                    above.append((os.path.join(path, name), below, _names(below)))
    finally:
        for _, folder, _ in above:
            os.close(folder)


def _names(folder):
    """Of what is worth a look: where nobody but root can have made anything, only directories are."""
    if _may_make(os.fstat(folder)):
        return os.listdir(folder)
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]


def _may_make(parent):
    """Whether a user can have made something there. If not root has: bots' directories are such."""
    return parent.st_uid != 0 or bool(parent.st_mode & 0o022)


def _is_closed(found):
    """Root's own, which nobody else can enter; but programs of another group, such as crontab, may have put something there."""
    passage = 0o011 if found.st_gid != 0 else 0o001
    return found.st_uid == 0 and not found.st_mode & passage


def _open(folder, name):
    try:
        return os.open(name, DIRECTORY, dir_fd=folder)
    except (FileNotFoundError, NotADirectoryError):
        return None  # replaced meanwhile
