"""Archives of stopped bots: packed by a helper, fetched in pieces, discarded when they are safe elsewhere."""

import base64
import hashlib
import os
import re
import secrets
import tarfile

from .faults import INVALID, NOT_FOUND, Fault

LONGEST = 256 << 10
# A bot's id has no @, so the part before it is the whole id.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}@[0-9a-f]{16}\.tar\.gz")
PACKING_SECONDS = 3600


class Archives:
    def __init__(self, layout, helpers):
        self._layout, self._helpers = layout, helpers
        for name in os.listdir(layout.archives):
            if not NAME.fullmatch(name):
                os.unlink(os.path.join(layout.archives, name))

    def pack(self, bot):
        """Promise of an ArchiveInfo. Takes the place of earlier archives of that bot. Raises NOT_FOUND."""
        self.forget(bot)
        name = f"{bot}@{secrets.token_hex(8)}.tar.gz"
        source, target = self._layout.bot(bot), os.path.join(self._layout.archives, name)
        if os.path.islink(source) or not os.path.isdir(source):
            raise Fault(NOT_FOUND, f"there is no directory of {bot}")
        return self._helpers.run(f"archive {bot}", lambda: {"archive": name, **_pack(source, target)}, PACKING_SECONDS)

    def forget(self, bot):
        """Deletes its archives."""
        for name in os.listdir(self._layout.archives):
            if name.split("@")[0] == bot:
                os.unlink(os.path.join(self._layout.archives, name))

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
        try:
            os.unlink(self._path(name))
        except FileNotFoundError:
            pass

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


class _Hashing:
    def __init__(self, file):
        self._file, self.size, self.sha256 = file, 0, hashlib.sha256()

    def write(self, data):
        self.size += len(data)
        self.sha256.update(data)
        return self._file.write(data)
