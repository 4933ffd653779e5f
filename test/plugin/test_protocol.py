"""The wire: fences, seats, waiting, output, archives, and bad input."""

import hashlib
import base64
import io
import json
import os
import socket
import tarfile
import threading
import time
import unittest
import xmlrpc.client

from harness import PluginTest, Supervisord, bot, file, kill, until


class Fences(PluginTest):
    def test_an_older_generation_is_refused_also_after_a_restart_and_a_removal(self):
        old = self.spec("ann", "true", run=False)
        new = self.apply(old)
        self.assertFault(1001, "apply", old)
        self.supervisord.kill()
        self.supervisord.start()
        self.assertFault(1001, "apply", old)
        self.call("apply", new)
        self.assertFault(1001, "remove", {"bot": "ann", "generation": old["generation"]})
        self.call("remove", {"bot": "ann", "generation": new["generation"]})
        self.assertFault(1001, "apply", new)
        self.supervisord.kill()
        self.supervisord.start()
        self.assertFault(1001, "apply", new)
        self.apply(new)

    def test_the_generation_is_on_the_disk_before_the_answer(self):
        spec = self.spec("ann", "true", run=False)
        self.call("apply", spec)
        with open(self.supervisord.path("fences.json")) as found:
            self.assertEqual(json.load(found)["bots"]["ann"]["generation"], spec["generation"])
        self.assertEqual(os.stat(self.supervisord.path("fences.json")).st_mode & 0o777, 0o600)

    def test_tombstones_are_bounded(self):
        for number in range(30):
            type(self).generation += 1
            self.call("remove", {"bot": f"gone{number}", "generation": self.generation})
        with open(self.supervisord.path("fences.json")) as found:
            self.assertEqual(len([bot for bot in json.load(found)["bots"] if bot.startswith("gone")]), 30)

    def test_a_slot_and_a_port_have_one_bot(self):
        self.call("apply", self.spec("ann", "true", run=False))
        self.assertFault(1003, "apply", self.spec("bob", "true", run=False))
        self.assertFault(1003, "apply", {**self.spec("bob", "true", run=False, slot=1), "slot": 0})
        self.assertIsNone(self.observe("bob"))
        self.assertNotIn("bob", self.call("observe")["directories"])

    def test_two_bots_that_come_at_once_for_one_seat(self):
        specs = [self.spec(name, "true", run=False) for name in ("ann", "bob", "cid")]
        codes = at_once(lambda spec: self.call("apply", spec), specs)
        self.assertEqual(sorted(getattr(code, "code", 0) for code in codes), [0, 1003, 1003])

    def test_many_applies_of_one_bot_at_once_end_with_the_newest(self):
        specs = [self.spec("ann", *bot("hang"), env={"N": str(number)}) for number in range(8)]
        at_once(lambda spec: self.call("apply", spec), specs)
        self.assertEqual(self.observe("ann")["generation"], specs[-1]["generation"])


class DamagedFences(unittest.TestCase):
    def test_supervisord_does_not_start_and_says_why(self):
        supervisord = Supervisord()
        self.addCleanup(supervisord.close)
        with open(supervisord.path("fences.json"), "w") as out:
            out.write('{"version": 1, "bo')
        with self.assertRaises(AssertionError):
            supervisord.start()
        self.assertIn("fences.json is damaged", supervisord.log())


class Waiting(PluginTest):
    def wait(self, cursor, seconds=10):
        started = time.monotonic()
        answer = self.call("wait", {"cursor": cursor, "seconds": seconds})
        return answer, time.monotonic() - started

    def quiet_cursor(self):
        """Where nothing changes any more."""
        cursor = self.call("observe")["cursor"]
        while (answer := self.wait(cursor, 1.5)[0])["changed"]:
            cursor = answer["cursor"]
        return answer["cursor"]

    def test_nothing_new_is_answered_when_the_time_is_up(self):
        cursor = self.quiet_cursor()
        answer, seconds = self.wait(cursor, 0.5)
        self.assertEqual((answer["changed"], answer["cursor"]), ([], cursor))
        self.assertTrue(0.45 < seconds < 0.8, seconds)

    def test_a_cursor_of_another_life_or_of_the_future_is_answered_at_once(self):
        self.call("apply", self.spec("ann", *bot("hang")))
        cursor = self.call("observe")["cursor"]
        for foreign in (0, 1, cursor - 10**9, cursor + 10**9):
            answer, seconds = self.wait(foreign)
            self.assertLess(seconds, 0.3)
            self.assertEqual(answer["changed"], ["ann"])

    def test_an_exit_is_told_within_milliseconds(self):
        slow = {"minSeconds": 30, "maxSeconds": 30, "healthySeconds": 60}
        taken = []
        for _ in range(5):
            self.call("apply", self.spec("ann", *bot("hang"), backoff=slow))
            self.until_state("ann", "running")
            cursor = self.quiet_cursor()
            pid, at = self.observe("ann")["pid"], []
            killer = threading.Timer(0.3, lambda: (at.append(time.monotonic()), kill(pid)))
            killer.start()
            answer, _ = self.wait(cursor)
            taken.append(time.monotonic() - at[0])
            self.assertEqual(answer["changed"], ["ann"])
            self.assertEqual(self.observe("ann")["state"], "backoff")
            killer.join()
        print(f"\nwait answers {min(taken) * 1000:.1f} to {max(taken) * 1000:.1f} ms after an exit", flush=True)
        # Without being woken supervisord would take half a second; a busy machine takes its share too.
        self.assertLess(sorted(taken)[2], 0.25)

    def test_changes_missed_meanwhile_are_told_at_once(self):
        cursor = self.quiet_cursor()
        self.call("apply", self.spec("ann", *bot("hang")))
        self.call("apply", self.spec("bob", *bot("hang"), slot=1))
        answer, seconds = self.wait(cursor)
        self.assertEqual(sorted(answer["changed"]), ["ann", "bob"])
        self.assertLess(seconds, 0.3)

    def test_clients_that_hang_up_leave_nothing_behind(self):
        cursor = self.quiet_cursor()
        before = len(os.listdir(f"/proc/{self.supervisord.process.pid}/fd"))
        for _ in range(100):
            self.hang_up(cursor)
        until(lambda: len(os.listdir(f"/proc/{self.supervisord.process.pid}/fd")) <= before + 1, "descriptors are closed")
        self.call("apply", self.spec("ann", *bot("hang")))
        self.assertEqual(self.wait(cursor)[0]["changed"], ["ann"])

    def test_waiting_costs_no_processor_time(self):
        self.call("apply", self.spec("ann", *bot("hang")))
        self.until_state("ann", "running")
        cursor = self.quiet_cursor()
        before = cpu_seconds(self.supervisord.process.pid)
        self.wait(cursor, 3)
        self.assertLess(cpu_seconds(self.supervisord.process.pid) - before, 0.15)

    def hang_up(self, cursor):
        body = xmlrpc.client.dumps((json.dumps({"cursor": cursor, "seconds": 60}),), "bunkhouse.wait").encode()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(self.supervisord.path("supervisor.sock"))
            sock.sendall(b"POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


class Output(PluginTest):
    def test_following_from_the_start_gives_every_byte_once(self):
        self.call("apply", self.spec("ann", *bot("chatter"), "--bytes", "300000"))
        until(lambda: self.call("log", {"bot": "ann", "offset": -4, "length": 100})["size"] >= 300000, "it has written")
        text, offset = "", 0
        while True:
            chunk = self.call("log", {"bot": "ann", "offset": offset, "length": 10007})
            self.assertEqual(chunk["offset"], offset)
            if not chunk["data"]:
                break
            text, offset = text + chunk["data"], chunk["next"]
        with open(self.supervisord.path("logs", "ann.log"), encoding="utf-8") as found:
            self.assertEqual(text, found.read())
        self.assertEqual(chunk["file"], str(os.stat(self.supervisord.path("logs", "ann.log")).st_ino))
        self.assertEqual(os.stat(self.supervisord.path("logs", "ann.log")).st_mode & 0o777, 0o600)

    def test_the_end_starts_with_a_whole_character(self):
        self.call("apply", self.spec("ann", *bot("chatter"), "--bytes", "5000"))
        until(lambda: self.call("log", {"bot": "ann", "offset": -4, "length": 100})["size"] >= 5000, "it has written")
        size = self.call("log", {"bot": "ann", "offset": -4, "length": 100})["size"]
        for back in range(60, 110):
            chunk = self.call("log", {"bot": "ann", "offset": -back, "length": 1000})
            self.assertNotIn("\ufffd", chunk["data"])
            self.assertEqual(chunk["next"], size)
            self.assertEqual(len(chunk["data"].encode()), size - chunk["offset"])

    def test_bytes_that_are_no_text(self):
        script = "import os; os.write(1, b'a\\xff\\xfe\\x00\\x1bb\\n'); import time; time.sleep(99)"
        self.call("apply", self.spec("ann", bot("hang")[0], "-c", script))
        until(lambda: "\n" in self.output("ann"), "it has written")
        chunk = self.call("log", {"bot": "ann", "offset": 0, "length": 100})
        self.assertEqual((chunk["data"], chunk["next"]), ("a\ufffd\ufffd\x00\x1bb\n", 7))

    def test_rotation_is_seen_by_the_file(self):
        self.call("apply", self.spec("ann", *bot("chatter"), "--bytes", "1000"))
        before = until(lambda: (chunk := self.call("log", {"bot": "ann", "offset": 0, "length": 100}))["size"] and chunk, "it has written")
        self.apply(self.spec("ann", *bot("chatter"), "--bytes", str(25 << 20)), restartGeneration=self.generation)
        log = self.supervisord.path("logs", "ann.log")
        until(lambda: os.path.exists(f"{log}.2"), "rotated", 30)
        self.assertNotEqual(self.call("log", {"bot": "ann", "offset": 0, "length": 100})["file"], before["file"])
        self.assertLess(os.stat(f"{log}.1").st_size, 11 << 20)

    def test_no_such_bot(self):
        self.assertFault(1004, "log", {"bot": "nobody", "offset": 0, "length": 100})
        self.call("apply", self.spec("ann", "true", run=False))
        self.assertEqual(self.call("log", {"bot": "ann", "offset": 0, "length": 100})["data"], "")


class Archive(PluginTest):
    def fetch(self, info):
        data = b""
        while True:
            piece = self.call("fetch", {"archive": info["archive"], "offset": len(data), "length": 65536})
            data += base64.b64decode(piece["data"])
            if piece["eof"]:
                return data

    def test_a_stopped_bot_is_packed_fetched_and_discarded(self):
        content = os.urandom(300_000)
        spec = self.spec("ann", *bot("hang"), files=[file("d/trades.sqlite", content), file("c", "1", 0o640)])
        self.call("apply", spec)
        self.assertFault(1003, "archive", {"bot": "ann"})
        self.apply(spec, run=False)
        self.until_state("ann", "stopped")
        os.symlink("/etc/passwd", self.supervisord.path("bots", "ann", "link"))
        info = self.call("archive", {"bot": "ann"})
        data = self.fetch(info)
        self.assertEqual((len(data), hashlib.sha256(data).hexdigest()), (info["bytes"], info["sha256"]))
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            self.assertEqual(tar.extractfile("./d/trades.sqlite").read(), content)
            self.assertTrue(tar.getmember("./link").issym())
            self.assertEqual(tar.getmember("./c").mode, 0o640)
        self.call("discard", {"archive": info["archive"]})
        self.call("discard", {"archive": info["archive"]})
        self.assertFault(1004, "fetch", {"archive": info["archive"], "offset": 0, "length": 10})
        self.assertEqual(os.listdir(self.supervisord.path("archives")), [])

    def test_those_who_ask_at_once_share_one(self):
        self.call("apply", self.spec("ann", "true", run=False, files=[file("a", os.urandom(3_000_000))]))
        answers = at_once(lambda _: self.call("archive", {"bot": "ann"}), range(5))
        self.assertEqual(len({answer["archive"] for answer in answers}), 1)
        self.call("discard", {"archive": answers[0]["archive"]})

    def test_there_is_no_archive_of_a_bot_without_a_directory(self):
        self.assertFault(1004, "archive", {"bot": "nobody"})
        self.assertEqual(os.listdir(self.supervisord.path("archives")), [])

    def test_a_start_waits_for_the_archive(self):
        spec = self.spec("ann", *bot("hang"), run=False, files=[file("a", os.urandom(5_000_000))])
        self.call("apply", spec)
        done = []
        packing = threading.Thread(target=lambda: done.append(self.call("archive", {"bot": "ann"})))
        packing.start()
        time.sleep(0.05)
        self.apply(spec, run=True, files=[])
        self.assertEqual(len(done), 1)
        packing.join()
        self.call("discard", {"archive": done[0]["archive"]})

    def test_names_that_are_none(self):
        for name in ("../fences.json", "ann@0123456789abcdef.tar.gz/../x", "", "fences.json"):
            self.assertFault(1002, "fetch", {"archive": name, "offset": 0, "length": 10})
            self.assertFault(1002, "discard", {"archive": name})


class BadInput(PluginTest):
    def test_each_field_is_checked_and_nothing_changes(self):
        good = self.spec("ann", "true", run=False)
        bad = {
            "bot": ["", "../x", ".x", "a/b", "a" * 64, 7, None, "a\n"],
            "generation": [-1, 1.5, "1", None, True, 2**60],
            "restartGeneration": [None, "x"],
            "slot": [-1, 10000, "0", None],
            "port": [0, 65536, "80", None],
            "host": ["", "here", "127.0.0.1 ", None, 7],
            "run": [1, None, "true"],
            "command": [[], "ls", [""], [1], ["a\0b"], None],
            "env": [{"A B": "1"}, {"A": 1}, {"A=": "x"}, [], {"A": "\ud800"}],
            "directories": [["/a"], ["../a"], "a", [None]],
            "files": [[{}], ["a"], {}, [{**file("a", "1"), "mode": 0o4755}], [{**file("a", "1"), "when": "never"}]],
            "readiness": [{}, {"kind": "magic", "startupSeconds": 1, "watchdogSeconds": None}, {"kind": "notify", "startupSeconds": None, "watchdogSeconds": None}],
            "stop": [{"signal": "SIGNOTHING", "graceSeconds": 1}, {"signal": "SIGTERM", "graceSeconds": -1}],
            "backoff": [{"minSeconds": 1}, None],
            "limits": [{"memoryBytes": 5, "pssBytes": None, "diskBytes": None, "cpuWeight": 100, "openFiles": None, "processes": None, "nice": 0}, {"memoryBytes": None, "pssBytes": None, "diskBytes": None, "cpuWeight": 100, "openFiles": None, "processes": None, "nice": -5}],
        }
        for field, values in bad.items():
            for value in values:
                with self.subTest(field=field, value=value):
                    self.assertFault(1002, "apply", {**good, field: value})
            with self.subTest(missing=field):
                self.assertFault(1002, "apply", {name: value for name, value in good.items() if name != field})
        self.assertEqual(self.call("observe")["directories"], [])

    def test_arguments_that_are_no_json_object(self):
        for value in ([], "text", 5, None):
            if value is not None:
                self.assertFault(1002, "apply", value)
                self.assertFault(1002, "wait", value)
        self.assertFault(1002, "wait", {"cursor": "1", "seconds": 1})
        self.assertFault(1002, "log", {"bot": "ann", "offset": 0, "length": 1 << 30})
        self.call("observe")


class Reload(PluginTest):
    def test_a_hangup_starts_anew_and_works(self):
        pid = self.call("apply", self.spec("ann", *bot("hang")))["pid"]
        before = self.call("observe")["incarnation"]
        kill(self.supervisord.process.pid, 1)

        def changed():
            try:
                return self.call("observe")["incarnation"] != before
            except (OSError, ConnectionError):
                return False

        until(changed, "a new incarnation")
        self.assertEqual(self.call("observe")["bots"], [])
        self.assertNotEqual(self.call("apply", self.spec("ann", *bot("hang")))["pid"], pid)
        self.until_state("ann", "running")


def at_once(call, values):
    """Results or exceptions of simultaneous calls."""
    results = []

    def one(value):
        try:
            results.append(call(value))
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=one, args=(value,)) for value in values]
    for thread in threads:
        thread.start()
        time.sleep(0.002)
    for thread in threads:
        thread.join()
    return results


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as found:
        fields = found.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    unittest.main()
