"""How much room a bot takes on the disk. Runs in a helper process, and may take long."""

import os
import stat
import time

from . import procfs
from .files import DIRECTORY
from .users import acting_as

BLOCK = 512  # what st_blocks counts, whatever the filesystem's own blocks are


class _Moved(Exception):
    """A directory was moved away while we were in it."""


def measure(root, uid, leader, seconds):
    """Bytes of the blocks below `root`, of files that were deleted but are held open by the bot's processes too.

    {"bytes", "trouble", "seconds"}: past `seconds` it stops with what it has, and says so.
    """
    began = time.monotonic()
    os.nice(10)
    try:
        usage = _Usage(root, began + seconds)
    except FileNotFoundError:
        return {"bytes": 0, "trouble": "", "seconds": 0}
    trouble = ""
    try:
        if leader:
            with acting_as(uid):
                usage.add_deleted(leader)
        usage.walk()
    except TimeoutError:
        trouble = f"its files are too many to be counted in {seconds:g} s"
    except _Moved:
        trouble = "directories were moved while it was measured"
    return {"bytes": usage.bytes, "trouble": trouble, "seconds": time.monotonic() - began}


class _Usage:
    """Goes down and up by descriptors, one open at a time: neither links nor moved directories lead it astray, nor does depth."""

    def __init__(self, root, deadline):
        self._here = os.open(root, DIRECTORY)
        self._deadline = deadline
        found = os.fstat(self._here)
        self._device = found.st_dev
        self._linked = set()  # inodes with several names, to count each once
        self.bytes = found.st_blocks * BLOCK

    def walk(self):
        levels = [(_identity(os.fstat(self._here)), self._read())]
        while levels:
            _, names = levels[-1]
            if names:
                if self._enter(names.pop()):
                    levels.append((_identity(os.fstat(self._here)), self._read()))
                continue
            levels.pop()
            if levels:
                self._go_up(levels[-1][0])

    def add_deleted(self, leader):
        for pid in procfs.tree(leader):
            for path in procfs.open_paths(pid):
                try:
                    found = os.stat(path)
                except OSError:
                    continue
                if stat.S_ISREG(found.st_mode) and found.st_nlink == 0 and found.st_dev == self._device:
                    self._add(found, shared=True)

    def _read(self):
        """Counts what is in the present directory; returns the names of the directories in it."""
        folders = []
        try:
            entries = os.scandir(self._here)
        except OSError:
            return folders
        with entries:
            for entry in entries:
                try:
                    found = entry.stat(follow_symlinks=False)
                except OSError:
                    continue  # gone
                if found.st_dev != self._device:
                    continue
                is_folder = stat.S_ISDIR(found.st_mode)
                self._add(found, shared=found.st_nlink > 1 and not is_folder)
                if is_folder:
                    folders.append(entry.name)
        return folders

    def _add(self, found, shared):
        if time.monotonic() > self._deadline:
            raise TimeoutError
        if shared:
            if found.st_ino in self._linked:
                return
            self._linked.add(found.st_ino)
        self.bytes += found.st_blocks * BLOCK

    def _enter(self, name):
        try:
            below = os.open(name, DIRECTORY, dir_fd=self._here)
        except OSError:
            return False  # gone, or something else now
        if os.fstat(below).st_dev != self._device:
            os.close(below)  # mounted over since it was listed
            return False
        os.close(self._here)
        self._here = below
        return True

    def _go_up(self, expected):
        above = os.open("..", DIRECTORY, dir_fd=self._here)
        os.close(self._here)
        self._here = above
        if _identity(os.fstat(above)) != expected:
            raise _Moved


def _identity(found):
    return found.st_dev, found.st_ino
