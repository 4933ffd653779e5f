"""Packs a bot's directory while the bot may be running. A program of its own, run as the bot's user (worker.py).

SQLite databases, told by their first bytes, are copied through SQLite's backup interface, each in one transaction; their
journals are in the copy and so left out. Other files are taken as they are. The working directory is packed to descriptor 3.
Imports nothing of ours, because only its source is handed over.
"""

import json
import os
import resource
import sqlite3
import stat
import sys
import tarfile
import time
from contextlib import closing, contextmanager
from urllib.parse import quote

MAGIC = b"SQLite format 3\0"
JOURNALS = ("-wal", "-shm", "-journal")
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# How long a writer may keep a database to itself.
BUSY_SECONDS = 20
MOST_TOLD = 20
LONGEST_TOLD = 200
# Holes take no room on the disk, but are packed as zeros: a bot must not keep the others' backups waiting with them.
MOST_HOLES = 16 << 30
# What a database may have grown since it was looked at.
GROWTH = 256 << 20


class Report:
    """What was packed, for whoever keeps the backup. Names may be many, so only some are told."""

    def __init__(self):
        self.files, self.bytes, self.databases, self.holes = 0, 0, 0, 0
        self.damaged, self.skipped = [], []

    def told(self):
        return {
            "files": self.files,
            "unpackedBytes": self.bytes,
            "databases": self.databases,
            "damaged": self.damaged[:MOST_TOLD],
            "skipped": self.skipped[:MOST_TOLD],
            "damagedCount": len(self.damaged),
            "skippedCount": len(self.skipped),
        }


def note(path, why):
    return {"path": path.encode(errors="surrogateescape").decode(errors="replace")[:LONGEST_TOLD], "why": why[:LONGEST_TOLD]}


def pack(tar, scratch, report):
    for folder, folders, names, opened in os.fwalk(".", follow_symlinks=False):
        databases = set()
        for name in sorted(folders + names):
            path = os.path.normpath(os.path.join(folder, name))
            if any(path.endswith(ending) and path.removesuffix(ending) in databases for ending in JOURNALS):
                continue
            try:
                if add(tar, opened, name, path, scratch, report):
                    databases.add(path)
            except FileNotFoundError:
                pass  # gone since it was listed, as files of a living program may be
            except PermissionError:
                report.skipped.append(note(path, "its user may not read it"))


def add(tar, folder, name, path, scratch, report):
    """Packs one entry. True when it was copied as a database."""
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISREG(found.st_mode):
        with open(os.open(name, READ, dir_fd=folder), "rb") as file:
            found = os.fstat(file.fileno())
            if stat.S_ISREG(found.st_mode):
                return add_regular(tar, file, found, path, scratch, report)
    elif stat.S_ISDIR(found.st_mode):
        tar.addfile(entry(path, found, tarfile.DIRTYPE))
        return False
    elif stat.S_ISLNK(found.st_mode):
        link = entry(path, found, tarfile.SYMTYPE)
        link.linkname = os.readlink(name, dir_fd=folder)
        if stays_inside(path):
            tar.addfile(link)
        else:
            report.skipped.append(note(path, "a link that leads out of the directory"))
        return False
    report.skipped.append(note(path, "neither a file, a directory nor a link"))
    return False


def add_regular(tar, file, found, path, scratch, report):
    report.files += 1
    report.holes += max(0, found.st_size - found.st_blocks * 512)
    if report.holes > MOST_HOLES:
        raise ValueError(f"{path}: with it the files have more than {MOST_HOLES >> 30} GiB of holes, all to be packed as zeros; remove or shorten it")
    copy = None
    if file.read(len(MAGIC)) == MAGIC:
        report.databases += 1
        with no_larger_than(found.st_size + journalled(path) + GROWTH):
            copy = copied(path, scratch, report)
    if copy is None:
        file.seek(0)
        add_content(tar, file, found, path, report)
        return False
    with open(copy, "rb") as content:
        add_content(tar, content, found, path, report)
    os.unlink(copy)
    return True


def add_content(tar, file, found, path, report):
    """As many bytes as there are now: a file that grows goes on in the next backup, one that shrinks ends in zeros."""
    header = entry(path, found, tarfile.REGTYPE)
    header.size = os.fstat(file.fileno()).st_size
    report.bytes += header.size
    tar.addfile(header, Exactly(file, header.size))


def entry(path, found, kind):
    header = tarfile.TarInfo(path)
    header.type, header.mode, header.mtime = kind, stat.S_IMODE(found.st_mode), found.st_mtime
    return header


def stays_inside(path):
    """As unpack.py has it, which refuses the others."""
    top = os.path.realpath(".")
    return not os.path.isabs(os.readlink(path)) and os.path.commonpath([top, os.path.realpath(path)]) == top


def copied(path, scratch, report):
    """A consistent copy of the database, checked; None when it cannot be read as one: then its files are taken as they are."""
    copy = os.path.join(scratch, "copy")
    for ending in ("", *JOURNALS):
        if os.path.exists(copy + ending):
            os.unlink(copy + ending)
    try:
        back_up(path, copy)
        trouble = integrity(copy)
    except sqlite3.OperationalError as error:
        if is_busy(error):
            raise TimeoutError(f"{path}: a writer keeps the database to itself for more than {BUSY_SECONDS} s") from None
        copy, trouble = None, str(error)
    except sqlite3.DatabaseError as error:
        copy, trouble = None, str(error)
    if trouble is not None:
        report.damaged.append(note(path, trouble))
    return copy


@contextmanager
def no_larger_than(size):
    """For the files that are written meanwhile: a journal may claim any number of pages, which would all be copied to the disk of all bots."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size if hard == resource.RLIM_INFINITY else min(size, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def journalled(path):
    """Bytes on the disk that are to be played back."""
    try:
        return os.lstat(f"{path}-wal").st_blocks * 512
    except FileNotFoundError:
        return 0


def back_up(path, copy):
    deadline = time.monotonic() + BUSY_SECONDS

    def waited(status, *_):
        if status != sqlite3.SQLITE_DONE and time.monotonic() > deadline:
            raise sqlite3.OperationalError("database is locked")

    with closing(connect(path)) as source, closing(sqlite3.connect(copy, timeout=BUSY_SECONDS)) as target:
        source.backup(target, pages=-1, progress=waited, sleep=0.25)


def connect(path):
    """Writable where it may be, because a journal that a killed program left must be played back."""
    for mode in ("rw", "ro"):
        database = sqlite3.connect(f"file:{quote(os.path.abspath(path))}?mode={mode}", uri=True, timeout=BUSY_SECONDS)
        try:
            if hasattr(database, "setconfig"):
                database.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE)
            database.execute("PRAGMA schema_version")
            return database
        except sqlite3.OperationalError as error:
            database.close()
            if mode == "ro" or is_busy(error):
                raise


def is_busy(error):
    return "locked" in str(error) or "busy" in str(error)


def integrity(path):
    """None when SQLite finds the database whole, else what it says."""
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as database:
        database.execute("PRAGMA trusted_schema = OFF")
        try:
            (answer,) = database.execute("PRAGMA integrity_check(1)").fetchone()
        except sqlite3.OperationalError as error:
            # A function or collation that only the program itself brings is no damage.
            return None if str(error).startswith(("no such", "unknown tokenizer")) else str(error)
    return None if answer == "ok" else answer


class Exactly:
    """Reads so many bytes of a file, zeros where it has ended before."""

    def __init__(self, file, size):
        self._file, self._left = file, size

    def read(self, length):
        wanted = min(length, self._left)
        self._left -= wanted
        data = self._file.read(wanted)
        return data + bytes(wanted - len(data))


def main(scratch):
    report = Report()
    with open(3, "wb") as out, tarfile.open(fileobj=out, mode="w:gz", compresslevel=6) as tar:
        pack(tar, scratch, report)
    return report.told()


if __name__ == "__main__":
    try:
        outcome = {"value": main(**json.loads(sys.argv[1]))}
    except Exception as error:
        outcome = {"failed": f"{type(error).__name__}: {error}"}
    print(json.dumps(outcome))
