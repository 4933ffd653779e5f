"""Unpacks an archive into the working directory, which is empty. A program of its own, run as the bot's user (worker.py).

The archive may be anything: whatever leads out of the directory, is no file, directory or link, or is too much refuses the
whole. No link is followed while it is unpacked. Imports nothing of ours, because only its source is handed over.
"""

import json
import os
import resource
import sqlite3
import stat
import sys
import tarfile
import zlib
from contextlib import closing
from urllib.parse import quote

MAGIC = b"SQLite format 3\0"
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
PIECE = 1 << 20
# What an archive may make the parser itself remember.
MOST_MEMORY = 1 << 30
MOST_TOLD = 20
LONGEST_TOLD = 200
BROKEN = (tarfile.TarError, zlib.error, EOFError, ValueError, RecursionError, MemoryError, OverflowError)


class Refused(Exception):
    pass


class Unpacking:
    def __init__(self, max_bytes, max_entries, tolerate):
        self._top = os.open(".", DIRECTORY)
        self._bytes, self._entries = max_bytes, max_entries
        self._tolerate = tolerate
        self._modes, self._links = {}, []
        self.files = 0

    def take(self, tar, member):
        self._entries -= 1
        if self._entries < 0:
            raise Refused("it holds too many entries")
        path = inside(member.name)
        if member.sparse is not None:
            raise Refused(f"{shown(member.name)} is a sparse file")
        if not path:
            return
        if member.isdir():
            os.close(self._descend(path))
            self._modes[path] = member.mode
        elif member.isreg():
            self._write(tar, member, path)
        elif member.issym():
            self._place(path, lambda name, folder: os.symlink(member.linkname, name, dir_fd=folder))
            self._links.append(path)
        elif member.islnk():
            self._link(member, path)
        elif not self._tolerate:
            raise Refused(f"{shown(member.name)} is neither a file, a directory nor a link; restored with force it is left out")

    def finish(self):
        """Modes of directories come last: one may forbid to write into it. A chain of links may lead out where none does alone."""
        for path in filter(os.path.islink, map("/".join, self._links)):
            if stays_inside(path):
                continue
            if not self._tolerate:
                raise Refused(f"{shown(path)} is a link that leads out of the directory; restored with force it is left out")
            os.unlink(path)
        for path in sorted(self._modes, key=len, reverse=True):
            folder = self._descend(path)
            os.fchmod(folder, stat.S_IMODE(self._modes[path]) & 0o777)
            os.close(folder)
        os.close(self._top)

    def _write(self, tar, member, path):
        self._bytes -= member.size
        if self._bytes < 0:
            raise Refused("unpacked it is larger than the bot may be")
        self.files += 1
        source = tar.extractfile(member)

        def write(name, folder):
            with open(os.open(name, NEW, 0o600, dir_fd=folder), "wb") as file:
                left = member.size
                while left > 0:
                    piece = source.read(min(PIECE, left))
                    if not piece:
                        raise Refused(f"{shown(member.name)} ends too soon")
                    left -= len(piece)
                    file.write(piece)
                file.flush()
                os.fchmod(file.fileno(), member.mode & 0o777)
                set_time(file.fileno(), member.mtime)

        self._place(path, write)

    def _link(self, member, path):
        target = inside(member.linkname)
        if not target:
            raise Refused(f"{shown(member.name)} is a link to the directory itself")
        folder = self._descend(target[:-1])
        try:
            if not stat.S_ISREG(os.stat(target[-1], dir_fd=folder, follow_symlinks=False).st_mode):
                raise Refused(f"{shown(member.name)} is a link to what is no file")
            self._place(path, lambda name, into: os.link(target[-1], name, src_dir_fd=folder, dst_dir_fd=into, follow_symlinks=False))
        except FileNotFoundError:
            raise Refused(f"{shown(member.name)} is a link to a file that does not come before it") from None
        finally:
            os.close(folder)

    def _place(self, path, put):
        """A later entry of the same name takes the place of an earlier one, as tar has it."""
        folder = self._descend(path[:-1])
        try:
            try:
                os.unlink(path[-1], dir_fd=folder)
            except FileNotFoundError:
                pass
            except IsADirectoryError:
                raise Refused(f"{shown('/'.join(path))} is a directory and something else") from None
            put(path[-1], folder)
        finally:
            os.close(folder)

    def _descend(self, path):
        here = os.dup(self._top)
        for name in path:
            try:
                os.mkdir(name, 0o700, dir_fd=here)
            except FileExistsError:
                pass
            try:
                below = os.open(name, DIRECTORY, dir_fd=here)
            except OSError:
                raise Refused(f"{shown('/'.join(path))} leads through what is no directory") from None
            finally:
                os.close(here)
            here = below
        return here


def inside(name):
    """The parts of a path below the directory. Raises Refused."""
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise Refused(f"{shown(name)} leads out of the directory")
    if any(len(os.fsencode(part)) > 255 for part in parts):
        raise Refused(f"{shown(name)} is too long a name")
    return parts


def stays_inside(link):
    """What an absolute link means depends on where and by whom it is followed, /proc/self/cwd for one; so none counts as inside."""
    top = os.path.realpath(".")
    return not os.path.isabs(os.readlink(link)) and os.path.commonpath([top, os.path.realpath(link)]) == top


def shown(name):
    return ascii(name[:200])


def set_time(file, seconds):
    try:
        os.utime(file, (seconds, seconds))
    except (OverflowError, ValueError, OSError):
        pass


def databases():
    """Paths of the SQLite databases, told by their first bytes."""
    for folder, _, names, opened in os.fwalk(".", follow_symlinks=False):
        for name in names:
            try:
                if not stat.S_ISREG(os.stat(name, dir_fd=opened, follow_symlinks=False).st_mode):
                    continue
                with open(os.open(name, READ, dir_fd=opened), "rb") as file:
                    if file.read(len(MAGIC)) == MAGIC:
                        yield os.path.normpath(os.path.join(folder, name))
            except PermissionError:
                continue


def note(path, why):
    return {"path": path.encode(errors="surrogateescape").decode(errors="replace")[:LONGEST_TOLD], "why": why[:LONGEST_TOLD]}


def integrity(path):
    """None when SQLite finds the database whole, else what it says. Plays back the journals that came with it."""
    try:
        with closing(sqlite3.connect(f"file:{quote(os.path.abspath(path))}?mode=rw", uri=True)) as database:
            database.execute("PRAGMA trusted_schema = OFF")
            (answer,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return None if str(error).startswith(("no such", "unknown tokenizer")) else str(error)
    return None if answer == "ok" else answer


def main(max_bytes, max_entries, tolerate):
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    unpacking = Unpacking(max_bytes, max_entries, tolerate)
    with open(3, "rb") as file, tarfile.open(fileobj=file, mode="r|gz") as tar:
        for member in tar:
            unpacking.take(tar, member)
            tar.members = []  # it would remember them all
    unpacking.finish()
    checked = {path: integrity(path) for path in list(databases())}  # listed first: a check may remove journals
    damaged = [note(path, why) for path, why in checked.items() if why is not None]
    if damaged and not tolerate:
        raise Refused(f"the database {shown(damaged[0]['path'])} is damaged: {damaged[0]['why']}")
    return {"files": unpacking.files, "databases": len(checked), "damaged": damaged[:MOST_TOLD]}


if __name__ == "__main__":
    try:
        outcome = {"value": main(**json.loads(sys.argv[1]))}
    except Refused as refusal:
        outcome = {"refused": str(refusal)}
    except BROKEN as error:
        outcome = {"refused": f"it is damaged ({type(error).__name__}: {error})"}
    except Exception as error:
        outcome = {"failed": f"{type(error).__name__}: {error}"}
    print(json.dumps(outcome))
