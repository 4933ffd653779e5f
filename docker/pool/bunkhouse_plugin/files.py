"""A bot's directory and the files that come with its spec. Runs in a helper process.

The bot owns its directory and may have put anything there, so its files are written with its own rights and no symbolic link
is followed below the directory. All contents go to temporary files first: when the disk is full, nothing has changed.
"""

import base64
import os
import stat

from . import trees
from .faults import INTERNAL, INVALID, Fault
from .trees import DIRECTORY
from .users import acting_as

NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def put(root, uid, directories, files):
    """Makes the bot's directory `root`, then the directories and files of its spec in it."""
    contents = [(file, _content(file)) for file in files]
    made = take_over(root, uid)
    if uid is not None:
        os.setgroups([])
    try:
        with acting_as(uid):
            _fill(os.open(root, DIRECTORY), directories, contents)
    except BaseException:
        if made:
            delete(root)
        raise


def take_over(root, uid):
    """Makes the directory the user's, with everything its former user had in it: a bot may come back in another slot.

    Returns whether it was not there before.
    """
    try:
        os.mkdir(root, 0o700)
        made = True
    except FileExistsError:
        made = False
    found = os.lstat(root)
    if not stat.S_ISDIR(found.st_mode):
        raise Fault(INTERNAL, f"{root} is no directory: move it away")
    if uid is None or found.st_uid == uid:
        return made
    for _, folders, names, folder in os.fwalk(root, follow_symlinks=False):
        for name in folders + names:
            if os.stat(name, dir_fd=folder, follow_symlinks=False).st_uid == found.st_uid:
                os.chown(name, uid, uid, dir_fd=folder, follow_symlinks=False)
    # Last, so that it is all done again if this was broken off.
    os.chown(root, uid, uid, follow_symlinks=False)
    return made


def delete(root):
    """Removes a bot's directory with everything in it. No-op when absent; never follows a link."""
    parent = os.open(os.path.dirname(root), DIRECTORY)
    try:
        trees.remove(parent, os.path.basename(root))
    finally:
        os.close(parent)


def write_durably(path, text):
    """Replaces a file of our own by a whole new one that is on the disk."""
    temporary = f"{path}.tmp"
    with open(temporary, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)
    folder = os.open(os.path.dirname(path), DIRECTORY)
    os.fsync(folder)
    os.close(folder)


def _fill(top, directories, contents):
    for path in directories:
        os.close(_descend(top, path.split("/")))
    written = []
    try:
        for file, content in contents:
            *parents, name = file.path.split("/")
            folder = _descend(top, parents)
            if not _may_stay(folder, name, file, content):
                written.append((folder, f".{name}.bunkhouse", name))
                _write(folder, written[-1][1], file.mode, content)
        for folder, temporary, name in written:
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)
    except BaseException:
        for folder, temporary, _ in written:
            _unlink(temporary, folder)
        raise


def _write(folder, name, mode, content):
    _unlink(name, folder)  # left by a write that was broken off
    with open(os.open(name, NEW_FILE, 0o600, dir_fd=folder), "wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())


def _unlink(name, folder):
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        pass


def _content(file):
    try:
        return base64.b64decode(file.data, validate=True)
    except ValueError:
        raise Fault(INVALID, f"data of {file.path} is not base64") from None


def _may_stay(folder, name, file, content):
    """Whether the file is as it should be."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(found.st_mode):
        raise Fault(INTERNAL, f"{file.path} is a directory: remove it")
    if not file.always:
        return True
    if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) != file.mode or found.st_size != len(content):
        return False
    try:
        with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder), "rb") as old:
            return old.read() == content
    except PermissionError:
        return False


def _descend(top, parts):
    """Opens the directory below `top`, making what is missing."""
    here = os.dup(top)
    for part in parts:
        try:
            os.mkdir(part, 0o700, dir_fd=here)
        except FileExistsError:
            pass
        try:
            below = os.open(part, DIRECTORY, dir_fd=here)
        except NotADirectoryError:
            raise Fault(INTERNAL, f"{'/'.join(parts)}: {part} is a file or a link: remove it") from None
        os.close(here)
        here = below
    return here
