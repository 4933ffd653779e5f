"""Zygotes that die, hang, refuse or never get ready: bots run on, none is lost and none runs twice."""

import os
import re
import signal
import subprocess
import sys
import unittest

from harness import kill, until
from prefork import FORKED, PreforkTest, prefork, warmup

# Its answer to an order is held back while the file is there: the bot is forked by then, and nobody knows it.
HOLD = """
import os, time
ZYGOTE = os.getpid()
def hold():
    while os.getpid() == ZYGOTE and os.path.exists({path!r}):
        time.sleep(0.01)
os.register_at_fork(after_in_parent=hold)
"""

HOLDING = prefork(preload=["holding"])


class TroubleTest(PreforkTest):
    def executed(self, name, reason, **changes):
        seen = self.serving(name, **changes)
        self.assertEqual(seen["spawn"]["kind"], "exec")
        self.assertIn(reason, seen["spawn"]["reason"])
        return seen

    def hurry(self, **seconds):
        self.supervisord.call("hurry", seconds, namespace="probe")

    def test_killed_while_bots_run(self):
        before = [self.serving(f"bot{slot}", slot=slot) for slot in range(2)]
        old = self.zygote()
        kill(old["pid"])
        now = self.executed("bot2", "the zygote is not there: killed by SIGKILL", slot=2)
        new = until(lambda: (found := self.zygotes()[0])["state"] == "ready" and found, "a new zygote", 15)
        self.assertEqual((new["key"], new["starts"], new["forks"]), (old["key"], 2, 0))
        self.assertNotEqual(new["pid"], old["pid"])
        self.assertEqual(self.serving("bot3", slot=3)["spawn"], FORKED)
        for seen in (*before, now):
            self.assertEqual((self.observe(seen["bot"])["pid"], self.observe(seen["bot"])["restarts"]), (seen["pid"], 0))
        kill(before[0]["pid"])
        again = self.until_observed("bot0", lambda seen: seen["state"] == "running" and seen["pid"] != before[0]["pid"])
        self.assertEqual(again["spawn"], FORKED)

    def test_one_that_hangs_at_a_fork(self):
        self.hurry(FORK_SECONDS=0.5)
        self.addCleanup(self.hurry, FORK_SECONDS=10)
        first = self.serving("bot0")
        pid = self.zygote()["pid"]
        kill(pid, signal.SIGSTOP)
        self.executed("bot1", "the zygote ended: no answer within 0.5 s", slot=1)
        self.until_gone(pid)
        until(lambda: self.zygotes()[0]["state"] == "ready", "a new zygote", 15)
        self.assertEqual(self.serving("bot2", slot=2)["spawn"], FORKED)
        self.assertEqual(self.observe("bot0")["pid"], first["pid"])

    def test_a_bot_is_not_stopped_while_it_is_being_forked(self):
        """Else it would be started elsewhere, and then here as well."""
        self.serving("bot0")
        pid = self.zygote()["pid"]
        kill(pid, signal.SIGSTOP)
        spec = self.bot("bot1", "serve", slot=1)
        self.assertEqual((self.observe("bot1")["state"], self.observe("bot1")["pid"]), ("starting", None))
        self.apply(spec, run=False)
        self.assertEqual(self.observe("bot1")["state"], "starting")
        self.assertFault(1003, "remove", {"bot": "bot1", "generation": self.generation})
        kill(pid, signal.SIGCONT)
        seen = self.until_state("bot1", "stopped")
        self.assertEqual((seen["lastExit"]["expected"], self.output("bot1")), (True, ""))

    def test_a_change_while_it_is_being_forked_does_not_kill_it(self):
        self.serving("bot0")
        pid = self.zygote()["pid"]
        kill(pid, signal.SIGSTOP)
        spec = self.bot("bot1", "serve", slot=1)
        self.apply(spec)
        kill(pid, signal.SIGCONT)
        seen = self.until_state("bot1", "running")
        until(lambda: self.output("bot1"), "it serves")
        self.assertEqual((seen["restarts"], seen["lastExit"], self.output("bot1")), (0, None, "serving serve\n"))

    def test_one_that_never_gets_ready(self):
        self.hurry(PRELOAD_SECONDS=0.5)
        self.addCleanup(self.hurry, PRELOAD_SECONDS=180)
        self.executed("ann", "the zygote is not there: not ready after 0.5 s", prefork=warmup("import time", "time.sleep(600)"))

    def test_a_waiting_bot_can_be_stopped_and_removed_at_once(self):
        spec = self.bot("ann", "serve", prefork=warmup("import time", "time.sleep(600)"))
        seen = self.until_state("ann", "starting")
        self.assertEqual((seen["reason"], seen["spawn"], seen["pid"]), ("waits for the zygote, which is importing", None, None))
        zygote = until(lambda: self.zygotes()[0]["pid"], "its zygote")
        self.assertEqual(self.zygotes()[0]["state"], "starting")
        self.apply(spec, run=False)
        self.assertEqual(self.until_state("ann", "stopped")["reason"], "")
        self.call("remove", {"bot": "ann", "generation": self.generation})
        self.assertEqual(self.zygotes(), [])
        self.until_gone(zygote)

    def test_one_that_always_fails_is_tried_ever_more_seldom(self):
        self.executed("ann", "warmup() failed", prefork=warmup("1 / 0"))
        until(lambda: self.zygotes()[0]["starts"] >= 3, "three tries", 20)
        key = self.zygotes()[0]["key"]
        waits = [float(wait) for wait in re.findall(rf"zygote {key} ended: .*; again in (\d+\.\d) s", self.supervisord.log())]
        # Half of each is chance: from 0.5 to 1, from 1 to 2, from 2 to 4.
        for wait, least in zip(waits, (0.5, 1, 2)):
            self.assertTrue(least <= wait <= 2 * least, waits)

    def test_one_that_hangs_when_supervisord_starts_anew(self):
        self.bot("ann", "serve", prefork=warmup("import time", "time.sleep(600)"))
        zygote = until(lambda: self.zygotes()[0]["pid"], "its zygote")
        before = self.call("observe")["incarnation"]
        kill(self.supervisord.process.pid, signal.SIGHUP)
        until(lambda: self.supervisord._answers() and self.call("observe")["incarnation"] != before, "it has started anew")
        self.until_gone(zygote)
        self.assertEqual(self.serving("ann")["spawn"], FORKED)

    def held(self):
        """A zygote that has forked bot1 and holds back the answer: (file, zygote's pid, the nameless child's pid)."""
        path = os.path.join(self.folder, "hold")
        with open(os.path.join(self.folder, "holding.py"), "w") as file:
            file.write(HOLD.format(path=path))
        changes = {"prefork": HOLDING}
        self.serving("bot0", **changes)
        zygote = self.zygote()["pid"]
        known = set(self.children())
        with open(path, "w"):
            self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        self.bot("bot1", "serve", slot=1, **changes)
        child, = until(lambda: self.idle(set(self.children()) - known), "the child is forked")
        return path, zygote, child

    def children(self):
        pid = self.supervisord.process.pid
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(child) for child in file.read().split()]

    def idle(self, pids):
        """Those that wait in a read, as at the gate: not a helper that comes and goes."""
        found = []
        for pid in pids:
            try:
                with open(f"/proc/{pid}/syscall") as file:
                    found += [pid] if file.read().startswith("0 ") else []
            except (FileNotFoundError, ProcessLookupError):
                continue
        return found

    def test_an_answer_that_is_lost_leaves_nothing_running(self):
        path, zygote, child = self.held()
        self.assertEqual((self.observe("bot1")["pid"], self.output("bot1")), (None, ""))
        kill(zygote)
        self.until_gone(child)
        seen = self.until_state("bot1", "running")
        self.assertEqual(seen["spawn"], {"kind": "exec", "reason": "the zygote ended: killed by SIGKILL"})
        until(lambda: self.output("bot1"), "it serves")
        self.assertEqual((self.output("bot1"), seen["restarts"]), ("serving serve\n", 0))

    def test_an_answer_that_is_late_starts_the_bot(self):
        path, zygote, child = self.held()
        os.unlink(path)
        seen = self.until_state("bot1", "running")
        self.assertEqual((seen["pid"], seen["spawn"]), (child, FORKED))

    def test_a_child_that_dies_before_the_answer(self):
        """It was reaped as a stranger, so nobody will tell of its end any more."""
        path, zygote, child = self.held()
        kill(child)
        until(lambda: not os.path.exists(f"/proc/{child}"), "it is reaped")
        os.unlink(path)
        seen = self.until_state("bot1", "running")
        self.assertEqual(seen["spawn"], {"kind": "exec", "reason": "the process from the zygote ended at once"})
        self.assertEqual((seen["restarts"], self.observe("bot0")["spawn"], self.zygote()["pid"]), (0, FORKED, zygote))

    def test_supervisord_dies_before_the_answer(self):
        path, zygote, child = self.held()
        bot = self.observe("bot0")["pid"]
        self.supervisord.kill()
        for pid in (child, zygote, bot):
            self.until_gone(pid)
        os.unlink(path)
        self.supervisord.start()
        self.assertEqual(self.call("observe")["bots"], [])
        self.assertEqual(self.serving("bot1", slot=1, prefork=HOLDING)["spawn"], FORKED)
        self.assertEqual(self.output("bot1"), "serving serve\n")


class RefusalTest(PreforkTest):
    """Without root, whom no limit of processes holds."""

    isolated = False
    user = 231_000 + os.getpid() % 1000

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("takes a user of its own")
        super().setUpClass()

    def limit(self, pid, processes):
        """An expression of the hard limit. As its user: root itself may not everywhere."""
        program = f"import resource as r; hard = r.prlimit({pid}, r.RLIMIT_NPROC)[1]; r.prlimit({pid}, r.RLIMIT_NPROC, ({processes}, hard))"
        subprocess.run([sys.executable, "-c", program], user=self.user, group=self.user, extra_groups=[], check=True)

    def test_a_fork_that_is_refused(self):
        first = self.serving("bot0")
        zygote = self.zygote()["pid"]
        self.limit(zygote, "1")
        seen = self.serving("bot1", slot=1)
        self.assertEqual((seen["spawn"]["kind"], seen["restarts"]), ("exec", 0))
        self.assertIn("the zygote cannot fork: [Errno 11]", seen["spawn"]["reason"])
        self.limit(zygote, "hard")
        self.assertEqual(self.serving("bot2", slot=2)["spawn"], FORKED)
        self.assertEqual((self.zygote()["pid"], self.observe("bot0")["pid"]), (zygote, first["pid"]))


if __name__ == "__main__":
    unittest.main()
