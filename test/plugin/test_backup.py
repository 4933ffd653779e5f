"""Backup of a bot that runs, and restore of a stopped one."""

import base64
import gzip
import hashlib
import io
import os
import random
import secrets
import socket
import sqlite3
import stat
import struct
import tarfile
import threading
import time
import unittest
from contextlib import closing

from harness import FIRST_PORT, UID_BASE, Fault, PluginTest, bot, file

PYTHON = bot("hang")[0]
UID = UID_BASE + FIRST_PORT
INVALID, CONFLICT, NOT_FOUND, INTERNAL, STALE = 1002, 1003, 1004, 1005, 1001

# Each transaction writes the same number to two tables and adds a row, so any moment between two shows.
WRITER = """
import sqlite3, sys, time
db = sqlite3.connect("trades.sqlite", isolation_level=None, timeout=60)
db.execute("PRAGMA journal_mode=" + sys.argv[1])
db.executescript("CREATE TABLE one(n); CREATE TABLE two(n); CREATE TABLE row(n, filler)")
n = 0
while True:
    n += 1
    db.execute("BEGIN IMMEDIATE")
    db.execute("DELETE FROM one"); db.execute("INSERT INTO one VALUES(?)", (n,))
    db.execute("INSERT INTO row VALUES(?, ?)", (n, "x" * 2000))
    db.execute("DELETE FROM two"); db.execute("INSERT INTO two VALUES(?)", (n,))
    db.execute("COMMIT")
    open("count", "w").write(str(n))
"""


class BackupTest(PluginTest):
    def home(self, *parts):
        return self.supervisord.path("bots", "ann", *parts)

    def stopped(self, **changes):
        spec = self.spec("ann", "true", run=False, **changes)
        self.call("apply", spec)
        return spec

    def backup(self):
        info = self.call("backup", {"bot": "ann"})
        data = b""
        while len(data) < info["bytes"]:
            data += base64.b64decode(self.call("fetch", {"archive": info["archive"], "offset": len(data), "length": 256 << 10})["data"])
        self.assertEqual(hashlib.sha256(data).hexdigest(), info["sha256"])
        self.call("discard", {"archive": info["archive"]})
        return info, data

    def send(self, data, upload=None):
        upload = upload or secrets.token_hex(8)
        for offset in range(0, len(data), 200_000):
            piece = base64.b64encode(data[offset : offset + 200_000]).decode()
            self.call("receive", {"bot": "ann", "upload": upload, "offset": offset, "data": piece})
        return upload

    def request(self, data, **changes):
        sha256 = hashlib.sha256(data).hexdigest()
        return {"bot": "ann", "generation": self.generation, "upload": self.send(data), "sha256": sha256, "maxBytes": 1 << 30, "tolerate": False, **changes}

    def restore(self, data, **changes):
        return self.call("restore", self.request(data, **changes))

    def refused(self, data, pattern, **changes):
        before = self.tree()
        text = self.assertFault(INVALID, "restore", self.request(data, **changes))
        self.assertRegex(text, pattern)
        self.assertEqual(self.tree(), before)
        self.assertEqual(os.listdir(self.supervisord.path("staging")), [])

    def tree(self):
        seen = {}
        for path, folders, names in os.walk(self.home()):
            for name in folders + names:
                full = os.path.join(path, name)
                found = os.lstat(full)
                content = read(full) if stat.S_ISREG(found.st_mode) else os.readlink(full) if stat.S_ISLNK(found.st_mode) else None
                seen[os.path.relpath(full, self.home())] = (stat.filemode(found.st_mode), found.st_uid, content)
        return seen

    def rows(self, path):
        with closing(sqlite3.connect(path)) as db:
            return [db.execute(f"SELECT {what}").fetchone()[0] for what in ("n FROM one", "n FROM two", "count(*) FROM row", "max(n) FROM row")]


def read(path):
    with open(path, "rb") as content:
        return content.read()


def tar_of(*members):
    """(name, content, changes) each."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        for name, content, changes in members:
            member = tarfile.TarInfo(name)
            member.mode = 0o644
            member.size = len(content)
            for key, value in changes.items():
                setattr(member, key, value)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


class Running(BackupTest):
    isolated = True

    def test_a_database_that_is_written_to_is_whole_and_of_one_moment(self):
        for mode in ("WAL", "DELETE"):
            spec = self.spec("ann", PYTHON, "-c", WRITER, mode)
            self.call("apply", spec)
            self.until_observed("ann", lambda _: os.path.exists(self.home("count")))
            for _ in range(5):
                least = int(read(self.home("count")) or 0)
                info, data = self.backup()
                self.assertEqual((info["databases"], info["damaged"], info["skipped"]), (1, [], []))
                with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                    self.assertEqual([name for name in tar.getnames() if name.endswith(("-wal", "-shm", "-journal"))], [])
                    content = tar.extractfile("trades.sqlite").read()
                copy = self.supervisord.path("trades.sqlite")
                with open(copy, "wb") as out:
                    out.write(content)
                one, two, count, most = self.rows(copy)
                self.assertEqual((one, two, most), (count, count, count))
                self.assertGreaterEqual(count, least)
                os.unlink(copy)
            self.assertEqual(self.observe("ann")["restarts"], 0)
            self.assertEqual(os.listdir(self.supervisord.path("staging")), [])
            self._remove_all()

    def test_what_the_bot_may_do_is_all_that_it_is_packed_with(self):
        secret = self.supervisord.path("secret")
        with open(secret, "w") as out:
            out.write("not the bot's")
        os.chmod(secret, 0o600)
        self.stopped(files=[file("kept", "kept"), file("folder/kept", "kept")])
        os.symlink(secret, self.home("out"))
        os.symlink("../kept", self.home("folder/in"))
        os.symlink(self.home("kept"), self.home("absolute"))
        os.mkfifo(self.home("fifo"))
        with open(self.home("roots"), "w") as out:
            out.write("root's")
        os.chmod(self.home("roots"), 0o600)
        with closing(socket.socket(socket.AF_UNIX)) as listener:
            listener.bind(self.home("socket"))
            info, data = self.backup()
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            self.assertEqual(sorted(tar.getnames()), ["folder", "folder/in", "folder/kept", "kept"])
        self.assertEqual(sorted(entry["path"] for entry in info["skipped"]), ["absolute", "fifo", "out", "roots", "socket"])

    def test_a_database_that_is_none_is_kept_as_it_is_and_told(self):
        broken = b"SQLite format 3\0" + bytes(range(256)) * 40
        self.stopped(files=[file("broken.sqlite", broken), file("broken.sqlite-wal", b"journal")])
        info, data = self.backup()
        self.assertEqual([entry["path"] for entry in info["damaged"]], ["broken.sqlite"])
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            self.assertEqual(tar.extractfile("broken.sqlite").read(), broken)
            self.assertIn("broken.sqlite-wal", tar.getnames())
        self.refused(data, "broken.sqlite.*is damaged")
        self.assertEqual(self.restore(data, tolerate=True)["databases"], 1)

    def test_holes_that_take_no_room_are_not_packed_for_hours(self):
        self.stopped()
        for name, size in (("small", 1 << 20), ("large", 1 << 40)):
            with open(self.home(name), "wb") as out:
                out.truncate(size)
            os.chown(self.home(name), UID, UID)
        began = time.monotonic()
        self.assertIn("large: with it the files have more than 16 GiB of holes", self.assertFault(INTERNAL, "backup", {"bot": "ann"}))
        self.assertLess(time.monotonic() - began, 15)
        os.unlink(self.home("large"))
        self.assertEqual(self.backup()[0]["unpackedBytes"], 1 << 20)

    def test_a_journal_that_claims_endless_pages_fills_no_disk(self):
        self.stopped()
        with closing(sqlite3.connect(self.supervisord.path("seed.sqlite"))) as db:
            db.executescript("PRAGMA page_size=65536; PRAGMA journal_mode=WAL; CREATE TABLE t(n)")
            for ending, change in (("", bytes), ("-wal", lambda wal: _claiming(bytearray(wal), 8000))):
                with open(self.home(f"t.sqlite{ending}"), "wb") as out:
                    out.write(change(read(self.supervisord.path(f"seed.sqlite{ending}"))))
                os.chown(self.home(f"t.sqlite{ending}"), UID, UID)
        info, data = self.backup()
        self.assertEqual([entry["path"] for entry in info["damaged"]], ["t.sqlite"])
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            self.assertEqual(sorted(tar.getnames())[:1], ["t.sqlite"])
        self.assertLess(info["unpackedBytes"], 1 << 20)

    def test_names_however_long_are_told_as_far_as_they_fit(self):
        self.stopped()
        folder = self.home(*["\udcff" * 250] * 12)
        os.makedirs(folder)
        for number in range(30):
            os.mkfifo(os.path.join(folder, f"{number}"))
        os.system(f"chown -R {UID}:{UID} {self.home()}")
        info, _ = self.backup()
        self.assertEqual((len(info["skipped"]), info["skippedCount"]), (20, 30))

    def test_what_earlier_ones_left_is_gone_with_the_next(self):
        self.stopped()
        self.send(b"given up")
        with open(self.supervisord.path("archives", f"ann@{'0' * 16}.tar.gz.part"), "wb") as out:
            out.write(b"ended in the middle")
        self.backup()
        self.assertEqual(os.listdir(self.supervisord.path("archives")), [])

    def test_a_writer_that_never_lets_go_is_no_reason_to_hang(self):
        self.stopped()
        with closing(sqlite3.connect(self.home("busy.sqlite"), isolation_level=None)) as db:
            db.executescript("CREATE TABLE t(n); PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; INSERT INTO t VALUES(1)")
            os.chown(self.home("busy.sqlite"), UID, UID)
            began = time.monotonic()
            text = self.assertFault(INTERNAL, "backup", {"bot": "ann"})
        self.assertIn("busy.sqlite", text)
        self.assertLess(time.monotonic() - began, 28)

    def test_a_backup_holds_up_no_stop(self):
        spec = self.spec("ann", PYTHON, "-c", WRITER, "WAL")
        self.call("apply", spec)
        self.until_observed("ann", lambda _: os.path.exists(self.home("count")))
        with open(self.home("large"), "wb") as out:
            out.write(random.Random(1).randbytes(80 << 20))
        os.chown(self.home("large"), UID, UID)
        took = []
        packing = threading.Thread(target=lambda: took.append(self.backup()))
        packing.start()
        time.sleep(0.3)
        began = time.monotonic()
        self.apply(spec, run=False)
        self.until_state("ann", "stopped")
        self.assertLess(time.monotonic() - began, 2)
        self.assertTrue(packing.is_alive(), "the backup was done too soon to show anything")
        packing.join()
        self.assertEqual(len(took), 1)


class Restore(BackupTest):
    isolated = True

    def test_everything_is_as_it_was_and_what_came_later_is_gone(self):
        self.stopped(files=[file("config", "old", mode=0o640), file("folder/deep/file", "x" * 300_000), file("run", "#!", mode=0o700)])
        with closing(sqlite3.connect(self.home("trades.sqlite"))) as db:
            db.executescript("PRAGMA journal_mode=WAL; CREATE TABLE t(n); INSERT INTO t VALUES(1)")
        os.chown(self.home("trades.sqlite"), UID, UID)
        os.symlink("deep/file", self.home("folder/link"))
        os.chmod(self.home("folder"), 0o550)
        before = {path: seen for path, seen in self.tree().items() if path != "trades.sqlite"}
        info, data = self.backup()
        os.chmod(self.home("folder"), 0o700)
        with open(self.home("config"), "w") as out:
            out.write("new")
        with closing(sqlite3.connect(self.home("trades.sqlite"))) as db:
            db.executescript("INSERT INTO t VALUES(2)")
        os.mkdir(self.home("later"))
        for again in range(2):
            answer = self.restore(data)
            self.assertEqual((answer["databases"], answer["damaged"]), (1, []))
            after = {path: seen for path, seen in self.tree().items() if path != "trades.sqlite"}
            self.assertEqual({path: (mode, content) for path, (mode, _, content) in after.items()}, {path: (mode, content) for path, (mode, _, content) in before.items()})
            self.assertEqual({uid for _, uid, _ in self.tree().values()}, {UID})
            with closing(sqlite3.connect(self.home("trades.sqlite"))) as db:
                self.assertEqual(db.execute("SELECT n FROM t").fetchall(), [(1,)])
        self.assertEqual(stat.S_IMODE(os.lstat(self.home()).st_mode), 0o700)
        self.assertEqual(os.listdir(self.supervisord.path("staging")), [])
        self.assertEqual(os.listdir(self.supervisord.path("archives")), ["ann@placed"])

    def test_an_archive_of_a_deleted_bot_is_restored_with_its_journals(self):
        self.stopped()
        with closing(sqlite3.connect(self.home("t.sqlite"))) as db:
            db.executescript("PRAGMA journal_mode=WAL; CREATE TABLE t(n); INSERT INTO t VALUES(1)")
            for name in os.listdir(self.home()):
                os.chown(self.home(name), UID, UID)
            info = self.call("archive", {"bot": "ann"})
            data = base64.b64decode(self.call("fetch", {"archive": info["archive"], "offset": 0, "length": 256 << 10})["data"])
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            self.assertIn("./t.sqlite-wal", tar.getnames())
        self.assertEqual(self.restore(data)["databases"], 1)
        with closing(sqlite3.connect(self.home("t.sqlite"))) as db:
            self.assertEqual(db.execute("SELECT n FROM t").fetchall(), [(1,)])

    def test_an_archive_with_what_is_no_file_is_restored_without_it_where_that_is_tolerated(self):
        self.stopped(files=[file("kept", "kept")])
        os.mkfifo(self.home("fifo"))
        info = self.call("archive", {"bot": "ann"})
        data = base64.b64decode(self.call("fetch", {"archive": info["archive"], "offset": 0, "length": 256 << 10})["data"])
        self.refused(data, "fifo.*is neither a file")
        self.restore(data, tolerate=True)
        self.assertEqual(set(self.tree()), {"kept"})

    def test_only_into_a_stopped_bot_of_this_generation(self):
        data = tar_of(("new", b"new", {}))
        self.assertFault(NOT_FOUND, "restore", self.request(data))
        spec = self.spec("ann", *bot("hang"))
        self.call("apply", spec)
        self.until_state("ann", "running")
        self.assertFault(CONFLICT, "restore", self.request(data))
        self.apply(spec, run=False)
        self.until_state("ann", "stopped")
        self.assertFault(STALE, "restore", self.request(data, generation=self.generation - 1))
        self.refused(data, "SHA-256", sha256="0" * 64)
        self.assertFault(NOT_FOUND, "restore", {**self.request(data), "upload": "0" * 16})
        request = self.request(data)
        self.call("restore", request)
        self.assertEqual(set(self.tree()), {"new"})
        self.assertTrue(self.call("restored", {"bot": "ann", "upload": request["upload"]})["restored"])
        self.assertFault(INVALID, "restored", {"bot": "ann", "upload": "../x"})

    def test_pieces_come_in_order_and_may_come_again(self):
        self.stopped()
        piece = lambda offset, content: {"bot": "ann", "upload": "0" * 16, "offset": offset, "data": base64.b64encode(content).decode()}
        self.assertFault(NOT_FOUND, "receive", piece(5, b"late"))
        for bad in ({"upload": "../../x"}, {"data": "?"}, {"data": ""}):
            self.assertFault(INVALID, "receive", {**piece(0, b"x"), **bad})
        self.call("receive", piece(0, b"aaaa"))
        self.call("receive", piece(0, b"bb"))
        self.call("receive", piece(2, b"cc"))
        self.call("receive", piece(2, b"dd"))
        with open(self.supervisord.path("archives", f"ann@{'0' * 16}.upload"), "rb") as received:
            self.assertEqual(received.read(), b"bbdd")

    def test_a_kill_leaves_the_old_directory_or_the_new_one(self):
        big = random.Random(2).randbytes(20 << 20)
        data = tar_of(("new", big, {}), *((f"file-{n}", b"x" * 1000, {}) for n in range(2000)))
        for delay in (0, 0.02, 0.1, 0.2, 0.3, 0.5, 0.8):
            self._remove_all()
            self.stopped(files=[file("old", "old")])
            request = self.request(data)
            asking = threading.Thread(target=lambda: self._ask(request))
            asking.start()
            time.sleep(delay)
            self.supervisord.kill()
            asking.join()
            self.assertIn(len(self.tree()), (1, 2001))
            self.assertEqual("old" in self.tree(), len(self.tree()) == 1)
            self.supervisord.start()
            is_new = "new" in self.tree()
            self.stopped()
            told = {"bot": "ann", "upload": request["upload"]}
            self.assertEqual(self.call("restored", told)["restored"], is_new)
            self.restore(data)
            self.assertFalse(self.call("restored", told)["restored"])
            self.assertEqual(len(self.tree()), 2001)
            self.assertEqual(os.listdir(self.supervisord.path("staging")), [])

    def _ask(self, request):
        try:
            self.call("restore", request)
        except (OSError, Fault):
            pass


class Hostile(BackupTest):
    isolated = True

    def setUp(self):
        super().setUp()
        self.stopped(files=[file("mine", "mine")])

    def test_what_leads_out_or_is_no_file_refuses_the_whole(self):
        special = lambda name, kind, **changes: (name, b"", {"type": kind, **changes})
        link = lambda name, target: special(name, tarfile.SYMTYPE, linkname=target)
        hard = lambda name, target: special(name, tarfile.LNKTYPE, linkname=target)
        ok = ("ok", b"ok", {})
        cases = {
            "dots": [("../x", b"x", {})],
            "dots within": [("a/../../x", b"x", {})],
            "absolute": [("/etc/x", b"x", {})],
            "link out": [ok, link("l", "/etc")],
            "absolute link to where it is unpacked": [link("l", "/proc/self/cwd")],
            "absolute link through a link": [link("a", "/proc/self/cwd/ok"), link("l", "a")],
            "link out by dots": [link("l", "../../secret")],
            "through a link": [link("l", "."), ("l/x", b"x", {})],
            "through a link out": [link("l", "/tmp"), ("l/x", b"x", {})],
            "chain of links": [special("d", tarfile.DIRTYPE), link("d/x", ".."), link("l", "d/x/..")],
            "hard link out": [hard("h", "/etc/passwd")],
            "hard link by dots": [hard("h", "../../x")],
            "hard link to nothing": [hard("h", "nothing")],
            "hard link to a link": [link("l", "ok"), hard("h", "l")],
            "hard link through a link": [ok, link("l", "."), hard("h", "l/ok")],
            "device": [special("d", tarfile.CHRTYPE, devmajor=1, devminor=3)],
            "block device": [special("d", tarfile.BLKTYPE, devmajor=8)],
            "fifo": [special("f", tarfile.FIFOTYPE)],
            "a file for a directory": [("d/x", b"x", {}), ("d", b"x", {})],
            "a directory for a file": [ok, ("ok/x", b"x", {})],
            "too long a name": [("n" * 300, b"x", {})],
        }
        for name, members in cases.items():
            with self.subTest(name):
                self.refused(tar_of(ok, *members), "is refused")

    def test_too_large_is_refused_before_it_is_there(self):
        self.refused(tar_of(("a", bytes(600), {}), ("b", bytes(600), {})), "larger than", maxBytes=1000)
        bomb = gzip.compress(_header("bomb", 1 << 40) + bytes(1 << 20))
        self.refused(bomb, "larger than")
        pax = gzip.compress(_header("pax", 8 << 30, tarfile.XHDTYPE) + bytes(64 << 20))
        self.refused(pax, "is refused")

    def test_links_that_lead_out_are_left_out_where_damage_is_tolerated(self):
        link = lambda name, target: (name, b"", {"type": tarfile.SYMTYPE, "linkname": target})
        data = tar_of(("ok", b"ok", {}), link("in", "ok"), link("out", "/etc/passwd"), link("up", "../../x"), link("self", "/proc/self/cwd"))
        self.restore(data, tolerate=True)
        self.assertEqual(set(self.tree()), {"ok", "in"})

    def test_rights_of_others_do_not_come_along(self):
        self.restore(tar_of(("s", b"x", {"mode": 0o6755, "uid": 0, "gid": 0}), ("d", b"", {"type": tarfile.DIRTYPE, "mode": 0o7777})))
        self.assertEqual({path: seen[:2] for path, seen in self.tree().items()}, {"s": ("-rwxr-xr-x", UID), "d": ("drwxrwxrwx", UID)})

    def test_whatever_it_is_nothing_is_written_elsewhere_and_all_or_nothing_here(self):
        """Archives changed at random, before and after compression, and made of random entries."""
        seed = int(os.environ.get("FUZZ_SEED", "0")) or random.randrange(1 << 32)
        rounds = int(os.environ.get("FUZZ_ROUNDS", "60"))
        chance = random.Random(seed)
        outside = self.supervisord.path("outside")
        os.makedirs(outside, exist_ok=True)
        os.chmod(outside, 0o777)
        with open(os.path.join(outside, "witness"), "w") as out:
            out.write("untouched")
        for number in range(rounds):
            data = _hostile(chance, outside)
            before = self.tree()
            try:
                self.restore(data, maxBytes=1 << 20)
            except Fault as fault:
                self.assertIn(fault.code, (INVALID, INTERNAL), f"seed {seed}, round {number}: {fault}")
                self.assertEqual(self.tree(), before, f"seed {seed}, round {number}")
            self.assertEqual(sorted(os.listdir(outside)), ["witness"], f"seed {seed}, round {number}")
            self.assertEqual(read(os.path.join(outside, "witness")), b"untouched")
            self.assertEqual(os.listdir(self.supervisord.path("staging")), [], f"seed {seed}, round {number}")
            top = os.path.realpath(self.home())
            for path in self.tree():
                self.assertTrue(os.path.realpath(self.home(path)).startswith(top), f"seed {seed}, round {number}: {path}")


def _claiming(wal, pages):
    """The journal of a database, its last transaction saying that the database has so many pages."""
    order = ">" if wal[3] & 1 else "<"
    page = struct.unpack_from(">I", wal, 8)[0]
    sums = struct.unpack_from(">II", wal, 24)
    for at in range(32, len(wal), 24 + page):
        number, committed = struct.unpack_from(">II", wal, at)
        if committed:
            struct.pack_into(">I", wal, at + 4, pages)
        if number == 1:
            struct.pack_into(">I", wal, at + 24 + 28, pages)
        one, two = sums
        words = struct.unpack(f"{order}{2 + page // 4}I", wal[at : at + 8] + wal[at + 24 : at + 24 + page])
        for first, second in zip(words[::2], words[1::2]):
            one = (one + first + two) & 0xFFFFFFFF
            two = (two + second + one) & 0xFFFFFFFF
        sums = one, two
        struct.pack_into(">II", wal, at + 16, *sums)
    return bytes(wal)


def _header(name, size, kind=tarfile.REGTYPE):
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def _hostile(chance, outside):
    names = ["a", "b", "a/b", "a/b/c", "../x", "./a", "a//b", "/tmp/x", outside + "/x", "..", ".", "", "a/../b", "n" * 90, "\udcff"]
    targets = [*names, "..", "../../outside/witness", outside, outside + "/witness", "a/..", "a/../..", "/proc/self/cwd"]
    kinds = [tarfile.REGTYPE] * 4 + [tarfile.DIRTYPE] * 2 + [tarfile.SYMTYPE] * 2 + [tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.GNUTYPE_SPARSE, b"Z"]
    raw = b""
    for _ in range(chance.randrange(1, 8)):
        member = tarfile.TarInfo(chance.choice(names))
        member.type, member.linkname, member.mode = chance.choice(kinds), chance.choice(targets), chance.randrange(0o10000)
        content = chance.randbytes(chance.randrange(2000)) if member.type == tarfile.REGTYPE else b""
        member.size = len(content)
        raw += member.tobuf(chance.choice([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])) + content + bytes(-len(content) % 512)
    raw = bytearray(raw + bytes(1024))
    if chance.random() < 0.4:
        for _ in range(chance.randrange(1, 10)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
    packed = bytearray(gzip.compress(bytes(raw)))
    if chance.random() < 0.2:
        for _ in range(chance.randrange(1, 4)):
            packed[chance.randrange(len(packed))] = chance.randrange(256)
    return bytes(packed[: chance.randrange(1, len(packed))] if chance.random() < 0.1 else packed)


class WithoutUsers(BackupTest):
    def test_what_is_packed_of_a_stopped_bot_is_not_what_it_had_while_it_ran(self):
        spec = self.spec("ann", *bot("hang"))
        self.call("apply", spec)
        self.until_state("ann", "running")
        with open(self.home("large"), "wb") as out:
            out.write(random.Random(1).randbytes(80 << 20))
        packing = threading.Thread(target=lambda: self.call("backup", {"bot": "ann"}))
        packing.start()
        self.until_observed("ann", lambda _: any(name.endswith(".part") for name in os.listdir(self.supervisord.path("archives"))))
        time.sleep(0.3)
        self.apply(spec, run=False)
        self.until_state("ann", "stopped")
        with open(self.home("a-last-word"), "w") as out:
            out.write("written while it ended")
        self.assertTrue(packing.is_alive(), "the backup was done too soon to show anything")
        _, data = self.backup()
        packing.join()
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            self.assertIn("a-last-word", tar.getnames())

    def test_there_and_back(self):
        self.stopped(files=[file("kept", "kept")])
        with closing(sqlite3.connect(self.home("t.sqlite"))) as db:
            db.executescript("PRAGMA journal_mode=WAL; CREATE TABLE t(n); INSERT INTO t VALUES(1)")
        info, data = self.backup()
        self.assertEqual((info["files"], info["databases"]), (2, 1))
        os.unlink(self.home("kept"))
        self.restore(data)
        self.assertEqual(set(self.tree()), {"kept", "t.sqlite"})


if __name__ == "__main__":
    unittest.main()
