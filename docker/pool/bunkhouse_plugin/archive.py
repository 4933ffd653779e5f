"""Archives of bots: packed by a helper, fetched in pieces, discarded when they are safe elsewhere; and those sent for a restore."""

import base64
import hashlib
import os
import re
import secrets
import tarfile
import time

from . import staging, worker
from .faults import INTERNAL, INVALID, NOT_FOUND, Fault, from_oserror
from .files import write_durably

LONGEST = 256 << 10
# A bot's id has no @, so the part before it is the whole id.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}@[0-9a-f]{16}\.tar\.gz")
UPLOAD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}@[0-9a-f]{16}\.upload")
# Which directory a bot's last upload became: told by its inode, noted before it takes its place.
PLACED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}@placed")
PACKING_SECONDS = 3600
MOST_TRIES = 5
PAUSE_SECONDS = 1


class Archives:
    def __init__(self, layout, helpers):
        self._layout, self._helpers = layout, helpers
        for name in os.listdir(layout.archives):
            if not NAME.fullmatch(name) and not PLACED.fullmatch(name):
                os.unlink(os.path.join(layout.archives, name))

    def pack(self, bot):
        """Promise of an ArchiveInfo of everything as it is. Takes the place of earlier archives of that bot. Raises NOT_FOUND."""
        name, source, target = self._new(bot)
        return self._helpers.run(f"archive {bot}", lambda: {"archive": name, **_pack(source, target)}, PACKING_SECONDS)

    def snapshot(self, bot):
        """As `pack`, also while the bot is running: databases are consistent, and it says what was packed."""
        name, source, target = self._new(bot)
        scratch = self._layout.staged(f"{bot}@scratch")
        return self._helpers.run(f"back up {bot}", lambda: {"archive": name, **_snapshot(source, target, scratch)}, PACKING_SECONDS)

    def receive(self, bot, upload, offset, data):
        """A piece of an archive for a restore; they come in order, and at 0 it begins anew."""
        piece = _decode(data)
        file = os.open(self._upload(bot, upload), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            if offset == 0:
                os.ftruncate(file, 0)
            if not 0 <= offset <= os.fstat(file).st_size:
                raise Fault(NOT_FOUND, f"nothing was received before {offset}: begin again at 0")
            os.pwrite(file, piece, offset)
        except OSError as error:
            raise from_oserror(error, "the archive cannot be received") from None
        finally:
            os.close(file)

    def restore(self, bot, upload, sha256, limits):
        """Promise of what was unpacked in place of the bot's directory."""
        archive, home, staged = self._upload(bot, upload), self._layout.bot(bot), self._layout.staged(bot)
        if not os.path.isfile(archive):
            raise Fault(NOT_FOUND, "the archive to restore was not received: send it again")
        note = lambda inode: write_durably(self._placed(bot), f"{upload} {inode}")
        work = self._helpers.run(f"restore {bot}", lambda: staging.restore(archive, sha256, home, staged, note, limits), PACKING_SECONDS)
        work.then(lambda _: _unlink(archive))
        return work

    def restored(self, bot, upload):
        """Whether the bot's directory is what came with that upload, whoever heard of it."""
        self._upload(bot, upload)
        try:
            with open(self._placed(bot)) as file:
                return file.read() == f"{upload} {os.lstat(self._layout.bot(bot)).st_ino}"
        except FileNotFoundError:
            return False

    def forget(self, bot):
        """Deletes its archives, and what a helper that was ended or a restore that was given up left of others."""
        for name in os.listdir(self._layout.archives):
            if name.split("@")[0] == bot:
                _unlink(os.path.join(self._layout.archives, name))

    def fetch(self, name, offset, length):
        """{data, eof}; data in base64. Raises NOT_FOUND."""
        if not 1 <= length <= LONGEST or offset < 0:
            raise Fault(INVALID, f"length must be from 1 to {LONGEST}, offset not negative")
        try:
            with open(self._path(name), "rb") as file:
                file.seek(offset)
                data = file.read(length)
                eof = file.tell() >= os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            raise Fault(NOT_FOUND, f"there is no archive {name}: make it again") from None
        return {"data": base64.b64encode(data).decode(), "eof": eof}

    def discard(self, name):
        _unlink(self._path(name))

    def clear_staged(self):
        """What an earlier life of ours was unpacking or had replaced. In a helper."""
        for name in os.listdir(self._layout.staging):
            staging.discard(self._layout.staged(name))

    def _new(self, bot):
        self.forget(bot)
        name = f"{bot}@{secrets.token_hex(8)}.tar.gz"
        source, target = self._layout.bot(bot), os.path.join(self._layout.archives, name)
        if os.path.islink(source) or not os.path.isdir(source):
            raise Fault(NOT_FOUND, f"there is no directory of {bot}")
        return name, source, target

    def _upload(self, bot, upload):
        name = f"{bot}@{upload}.upload"
        if not UPLOAD.fullmatch(name):
            raise Fault(INVALID, "upload must be 16 hexadecimal digits")
        return os.path.join(self._layout.archives, name)

    def _placed(self, bot):
        return os.path.join(self._layout.archives, f"{bot}@placed")

    def _path(self, name):
        if not NAME.fullmatch(name):
            raise Fault(INVALID, "that is no name of an archive")
        return os.path.join(self._layout.archives, name)


class Shared:
    """Lets callers that ask for the same while it is being made share one result."""

    def __init__(self):
        self._running = {}

    def once(self, key, make):
        promise = self._running.get(key)
        if promise is None:
            promise = self._running[key] = make()
            promise.then(lambda _: self._running.pop(key, None))
        return promise


def _pack(source, target):
    part = f"{target}.part"
    try:
        with open(part, "wb") as file:
            hashing = _Hashing(file)
            with tarfile.open(fileobj=hashing, mode="w:gz", compresslevel=6) as tar:
                tar.add(source, arcname=".")
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        os.unlink(part)
        raise
    os.rename(part, target)
    return {"bytes": hashing.size, "sha256": hashing.sha256.hexdigest()}


def _snapshot(source, target, scratch):
    """Packed by a program that has the bot's rights only, into a file that only we can open."""
    part, uid = f"{target}.part", staging.user_of(source)
    try:
        with open(part, "wb+") as file:
            packed = _packed(source, file, scratch, uid)
            os.fsync(file.fileno())
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except BaseException:
        _unlink(part)
        raise
    finally:
        staging.discard(scratch)
    os.rename(part, target)
    return {"bytes": size, "sha256": sha256, **packed}


def _packed(source, file, scratch, uid):
    """A bot that starts or stops meanwhile has all processes of its user ended, this one too: then it is done again."""
    for _ in range(MOST_TRIES):
        staging.discard(scratch)
        os.mkdir(scratch, 0o700)
        if uid is not None:
            os.chown(scratch, uid, uid)
        file.truncate(0)
        file.seek(0)
        try:
            return worker.work("snapshot", {"scratch": scratch}, uid, source, file.fileno())
        except worker.Killed:
            time.sleep(PAUSE_SECONDS)
    raise Fault(INTERNAL, f"the bot started or stopped {MOST_TRIES} times while it was packed: try again when it rests")


def _decode(data):
    try:
        piece = base64.b64decode(data, validate=True)
    except ValueError:
        raise Fault(INVALID, "data is not base64") from None
    if not 1 <= len(piece) <= LONGEST:
        raise Fault(INVALID, f"data must hold 1 to {LONGEST} bytes")
    return piece


def _unlink(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


class _Hashing:
    def __init__(self, file):
        self._file, self.size, self.sha256 = file, 0, hashlib.sha256()

    def write(self, data):
        self.size += len(data)
        self.sha256.update(data)
        return self._file.write(data)
