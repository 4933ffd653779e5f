"""Removing what a hostile user made: any name, directories without permissions, thousands of levels deep, links to anywhere.

Works on open directories, so that nobody who moves things meanwhile can lead it elsewhere. No link is followed, no mount crossed.
Runs in a helper process.
"""

import errno
import os
import secrets
import stat

from .users import acting_as

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(folder, name, owner=None):
    """Removes `name` from the open directory `folder`, with everything below it. No-op when absent.

    With `owner`, finding something of another user is an error. Raises OSError.
    """
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    _check(found, name, owner)
    if not stat.S_ISDIR(found.st_mode):
        os.unlink(name, dir_fd=folder)
        return
    if found.st_dev != os.fstat(folder).st_dev:
        raise OSError(errno.EBUSY, "something is mounted there", name)
    top = open_writable(folder, name)
    try:
        _empty(top, owner)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=folder)


def prune(folder, keep, owner):
    """Removes everything in the open directory but the paths in `keep`, each a tuple of names. Raises OSError."""
    for name in os.listdir(folder):
        inner = [path[1:] for path in keep if path[0] == name]
        if () in inner:
            continue
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not inner or not stat.S_ISDIR(found.st_mode):
            remove(folder, name, owner)
            continue
        _check(found, name, owner)
        below = open_writable(folder, name)
        try:
            prune(below, inner, owner)
        finally:
            os.close(below)


def open_writable(folder, name):
    """Opens a directory and gives its owner all rights to it, which root has then too, also without CAP_FOWNER. Raises OSError."""
    root = os.geteuid() == 0
    if not root:
        os.chmod(name, 0o700, dir_fd=folder)  # it could not be opened otherwise
    opened = os.open(name, DIRECTORY, dir_fd=folder)
    if root:
        with acting_as(os.fstat(opened).st_uid):
            os.fchmod(opened, 0o700)
    return opened


def _empty(top, owner):
    """Directories are moved up to the top before they are emptied: so no depth is too deep."""
    while folders := _sift(top, owner):
        for name in folders:
            below = open_writable(top, name)
            try:
                for inner in _sift(below, owner):
                    os.rename(inner, f".{secrets.token_hex(12)}", src_dir_fd=below, dst_dir_fd=top)
            finally:
                os.close(below)
            os.rmdir(name, dir_fd=top)


def _sift(folder, owner):
    """Removes what is no directory; returns the names of those that are."""
    folders = []
    for name in os.listdir(folder):
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        _check(found, name, owner)
        if stat.S_ISDIR(found.st_mode):
            folders.append(name)
        else:
            os.unlink(name, dir_fd=folder)
    return folders


def _check(found, name, owner):
    if owner is not None and found.st_uid != owner:
        raise OSError(errno.EPERM, f"belongs to uid {found.st_uid}", name)
