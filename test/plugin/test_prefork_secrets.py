"""What a forked bot's memory holds: nothing of supervisord's, nothing of another bot's. And what bots may do to the zygote: nothing."""

import json
import os
import secrets
import sys
import unittest

from harness import FIRST_PORT, file, until
from prefork import FORKED, PREFORK, PreforkTest, prefork

PASSWORD, VARIABLE = f"password-{secrets.token_hex(16)}", f"variable-{secrets.token_hex(16)}"
MORE = f"""
[inet_http_server]
port=127.0.0.1:{FIRST_PORT + 39}
username=bunkhouse
password={PASSWORD}
"""
UNREADABLE = ("[vvar]", "[vvar_vclock]", "[vsyscall]")
CHUNK = 1 << 24


def memory(pid):
    """Every readable byte of it, in pieces that overlap by more than a secret."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            span, modes, *rest = line.split()
            if not modes.startswith("r") or (rest[3:] and rest[3] in UNREADABLE):
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            for at in range(start, end, CHUNK):
                mem.seek(at)
                yield mem.read(min(CHUNK + 100, end - at))


def about(pid):
    """What /proc tells without its memory."""
    for name in ("environ", "cmdline", "comm"):
        with open(f"/proc/{pid}/{name}", "rb") as text:
            yield text.read()
    for name in os.listdir(f"/proc/{pid}/fd"):
        yield os.readlink(f"/proc/{pid}/fd/{name}").encode()


def found(pid, values):
    """Which of the secrets are there."""
    return {value for piece in (*memory(pid), *about(pid)) for value in values if value.encode() in piece}


class Secrets:
    """Of one bot: in its environment, its arguments, its file."""

    def __init__(self, name):
        self.env, self.argument, self.content = (f"{name}-{kind}-{secrets.token_hex(16)}" for kind in ("env", "argument", "file"))

    @property
    def all(self):
        return {self.env, self.argument, self.content}


class SecretsTest(PreforkTest):
    more = MORE

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("reading the memory of others takes root")
        os.environ["BUNKHOUSE_TEST_SECRET"] = VARIABLE
        cls.addClassCleanup(os.environ.pop, "BUNKHOUSE_TEST_SECRET")
        super().setUpClass()

    def one(self, slot):
        """A bot with secrets that it has read; (Secrets, pid)."""
        mine, name = Secrets(f"bot{slot}"), f"bot{slot}"
        self.bot(name, "serve", mine.argument, slot=slot, env={"API_KEY": mine.env}, files=[file("secret", mine.content)])
        seen = self.until_state(name, "running")
        self.assertEqual(seen["spawn"], FORKED)
        until(lambda: mine.argument in self.output(name), "it serves")
        self.facts(slot)
        return mine, seen["pid"]

    def assertClean(self, pid, foreign):
        self.assertEqual(found(pid, foreign), set())

    def test_each_bot_knows_its_own_and_nobody_elses(self):
        ours = {PASSWORD, VARIABLE}
        self.assertEqual(found(self.supervisord.process.pid, ours), ours)
        bots = [self.one(slot) for slot in range(3)]
        everything = ours.union(*(mine.all for mine, _ in bots))
        for mine, pid in bots:
            self.assertEqual(found(pid, everything), mine.all)
        self.assertClean(self.zygote()["pid"], everything)

    def test_after_many_forks_the_zygote_knows_none(self):
        ann = Secrets("ann")
        self.bot(
            "ann", "return", "0", ann.argument, slot=8, env={"API_KEY": ann.env}, files=[file("secret", ann.content)],
            backoff={"minSeconds": 0, "maxSeconds": 0, "healthySeconds": 0},
        )
        until(lambda: self.zygote()["forks"] >= 50, "50 forks", 60, self.zygotes)
        zygote = self.zygote()
        late, pid = self.one(9)
        everything = {PASSWORD, VARIABLE} | ann.all | late.all
        self.assertEqual(found(pid, everything), late.all)
        self.assertClean(zygote["pid"], everything)
        self.assertEqual(os.listdir(self.supervisord.path("run", "zygote")), [])
        with open(self.supervisord.path("logs", f".zygote-{zygote['key']}.log")) as log:
            self.assertFalse([value for value in everything if value in log.read()])
        self.assertNotIn(zygote["pid"], (None, pid))

    def test_an_executed_one_after_forked_ones(self):
        mine, _ = self.one(0)
        self.bot("bot1", "serve", slot=1, prefork=None)
        pid = self.until_state("bot1", "running")["pid"]
        until(lambda: self.output("bot1"), "it serves")
        self.assertClean(pid, mine.all | {PASSWORD, VARIABLE})

    def test_a_bot_can_neither_signal_nor_read_the_zygote_nor_its_neighbour(self):
        neighbour = self.serving("bot0")["pid"]
        for slot, pid in enumerate((self.zygote()["pid"], self.supervisord.process.pid, neighbour), start=4):
            for wanted in (PREFORK, None):
                self.bot("snoop", "neighbour", str(pid), slot=slot, prefork=wanted)
                tried = json.loads(until(lambda: self.output("snoop"), "it has tried"))
                self.assertEqual(tried, dict.fromkeys(("signal", "memory", "environ", "descriptors"), "PermissionError"))
                self.stop("snoop")

    def test_a_bot_cannot_choose_what_the_zygote_runs(self):
        """Which runs as root."""
        home = self.supervisord.path("bots", "ann")
        python = f"#!/bin/sh\nid -u >>{home}/ran-as\nexec {sys.executable} \"$@\"\n"
        script = f"#!{home}/python\nimport time\ntime.sleep(600)\n"
        files = [file("python", python, 0o755), file("app", script, 0o755)]
        for reason, changes in (
            ("its variable PATH works only at the start of Python", {"command": ["app"], "env": {"PATH": f"{home}:{os.environ['PATH']}"}}),
            ("is in a bot's directory", {"command": [f"{home}/app"]}),
        ):
            self.bot("ann", files=files, **{"prefork": prefork(python=f"{home}/python"), **changes})
            seen = self.until_state("ann", "running")
            with open(os.path.join(home, "ran-as")) as ran:
                self.assertNotIn("0", ran.read().split())
            self.assertIn(reason, seen["spawn"]["reason"])
            self.assertEqual(self.zygotes(), [])
            self.stop("ann")

    def test_nor_can_it_write_to_what_the_zygote_reads(self):
        self.serving("bot0")
        zygote = self.zygote()
        self.assertEqual(os.stat(self.supervisord.path("run", "zygote")).st_mode & 0o777, 0o700)
        self.assertEqual(os.stat(self.supervisord.path("logs", f".zygote-{zygote['key']}.log")).st_mode & 0o777, 0o600)
        open_ = {os.readlink(f"/proc/{zygote['pid']}/fd/{name}").split(":")[0] for name in os.listdir(f"/proc/{zygote['pid']}/fd")}
        self.assertTrue(all(name.endswith((".log", "socket")) or "memfd" in name or ".so" in name for name in open_), open_)


if __name__ == "__main__":
    unittest.main()
