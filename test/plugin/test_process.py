"""What a started program finds: environment, limits, descriptors, session; and what is left when it goes."""

import json
import os
import resource
import signal
import time
import unittest

from harness import FIRST_PORT, UID_BASE, PluginTest, bot, is_alive, kill, until

LOOK = """
import json, os, resource, signal, sys
limits = {name: resource.getrlimit(getattr(resource, 'RLIMIT_' + name)) for name in ('DATA', 'NOFILE', 'NPROC', 'CORE')}
with open('/proc/self/status') as file:
    status = dict(line.rstrip('\\n').split(':\\t', 1) for line in file if ':\\t' in line)
with open('/proc/self/oom_score_adj') as file:
    oom = int(file.read())
umask = os.umask(0)
print('LOOK ' + json.dumps(dict(
    env=dict(os.environ), cwd=os.getcwd(), argv=sys.argv, limits=limits, umask=umask, nice=os.nice(0), oom=oom,
    session=os.getsid(0) == os.getpid() == os.getpgrp(), fds=sorted(int(fd) for fd in os.listdir('/proc/self/fd')),
    stdin=os.read(0, 1).decode(), blocked=status['SigBlk'], ignored=status['SigIgn'], parent=os.getppid())), flush=True)
import time; time.sleep(99)
"""


class Process(PluginTest):
    def look(self, **changes):
        self.call("apply", self.spec("ann", bot("hang")[0], "-c", LOOK, "an argument; $HOME", **changes))
        until(lambda: "\n" in self.output("ann"), "it has looked")
        return json.loads(self.output("ann").split("LOOK ")[1].split("\n")[0])

    def test_environment_is_what_the_spec_says_and_no_more(self):
        seen = self.look(env={"PORT": "1", "GREETING": "grüß"})
        seen["env"].pop("LC_CTYPE", None)  # Python's own
        home = self.supervisord.path("bots", "ann")
        self.assertEqual(
            seen["env"],
            {
                "PORT": "1", "GREETING": "grüß", "HOME": home, "USER": "ann", "LOGNAME": "ann", "PATH": os.environ["PATH"], "LANG": "C.UTF-8",
                "NOTIFY_SOCKET": self.supervisord.path("run", "notify", "0", "notify.sock"), "BUNKHOUSE_BOT": "ann", "BUNKHOUSE_SLOT": "0",
            },
        )
        self.assertEqual(seen["cwd"], home)
        self.assertEqual(seen["argv"][1:], ["an argument; $HOME"])

    def test_it_leads_a_session_with_clean_signals_and_three_descriptors(self):
        seen = self.look()
        self.assertTrue(seen["session"])
        self.assertEqual(seen["stdin"], "")
        self.assertEqual(int(seen["blocked"], 16), 0)
        # Python itself ignores SIGPIPE and SIGXFSZ.
        self.assertEqual(int(seen["ignored"], 16) & ~(1 << signal.SIGPIPE - 1) & ~(1 << signal.SIGXFSZ - 1), 0)
        self.assertEqual(seen["fds"][:3], [0, 1, 2])
        self.assertLessEqual(len(seen["fds"]), 4)  # the fourth lists them
        self.assertEqual(seen["umask"], 0o077)
        self.assertEqual(seen["parent"], self.supervisord.process.pid)

    def test_limits(self):
        seen = self.look(limits={"memoryBytes": 300 << 20, "pssBytes": None, "diskBytes": None, "cpuWeight": 100, "openFiles": 200, "processes": 50, "nice": 7})
        self.assertEqual(seen["limits"]["DATA"], [300 << 20] * 2)
        self.assertEqual(seen["limits"]["NOFILE"], [200] * 2)
        self.assertEqual(seen["limits"]["CORE"], [0, 0])
        # A bot is never put before its supervisord, so a run that was itself made nicer shows that.
        self.assertEqual(seen["nice"], max(7, os.getpriority(os.PRIO_PROCESS, 0)))
        self.assertEqual(seen["oom"], 500)
        own = [50] * 2 if self.isolated else list(resource.getrlimit(resource.RLIMIT_NPROC))
        self.assertEqual(seen["limits"]["NPROC"], own)

    def test_too_much_memory_ends_one_bot_only(self):
        limits = {"memoryBytes": 200 << 20, "pssBytes": None, "diskBytes": None, "cpuWeight": 100, "openFiles": None, "processes": None, "nice": 0}
        other = self.call("apply", self.spec("bob", *bot("hang"), slot=1))["pid"]
        self.call("apply", self.spec("ann", bot("hang")[0], "-c", "x = bytearray(400 << 20)", limits=limits))
        self.until_observed("ann", lambda seen: seen["restarts"] >= 1)
        self.assertIn("MemoryError", self.output("ann"))
        self.assertEqual(self.observe("bob")["pid"], other)

    def test_what_a_bot_leaves_behind_is_ended(self):
        for flags in ([], ["--new-session"]):
            with self.subTest(flags):
                self.call("apply", self.spec("ann", *bot("orphan"), *flags))
                child = self.child()
                kill(self.observe("ann")["pid"])
                self.until_observed("ann", lambda seen: seen["restarts"] >= 1)
                self.assertFalse(is_alive(child))
                self._remove_all()

    def test_stop_ends_the_children_too(self):
        spec = self.spec("ann", *bot("orphan"), "--new-session")
        self.call("apply", spec)
        child = self.child()
        self.apply(spec, run=False)
        self.until_state("ann", "stopped")
        self.assertFalse(is_alive(child))

    def test_a_crash_of_supervisord_leaves_no_process_behind_when_it_is_back(self):
        for flags in ([], ["--new-session"]):
            with self.subTest(flags):
                self.call("apply", self.spec("ann", *bot("orphan"), *flags))
                child, pid = self.child(), self.observe("ann")["pid"]
                fences = self.supervisord.path("fences.json")
                until(lambda: f'"pid": {pid}' in read(fences), "its pid is on the disk")
                self.supervisord.kill()
                until(lambda: not is_alive(pid), "the bot dies with supervisord")
                self.assertTrue(is_alive(child))
                self.supervisord.start()
                until(lambda: not is_alive(child), "its child is ended at the next start")
                self.call("apply", self.spec("ann", *bot("hang")))
                self._remove_all()

    def test_memory_cpu_and_files_are_sampled(self):
        self.call("apply", self.spec("ann", *bot("server")))
        seen = self.until_observed("ann", lambda seen: seen["memory"] is not None and seen["openFiles"] is not None, 20)
        self.assertGreater(seen["memory"]["rssBytes"], 5 << 20)
        self.assertGreaterEqual(seen["memory"]["rssBytes"], seen["memory"]["pssBytes"])
        self.assertGreater(seen["openFiles"], 3)
        self.assertGreater(seen["cpuSeconds"], 0)
        self.assertGreater(self.call("observe")["overhead"]["pssBytes"], 1 << 20)

    def test_a_stray_child_of_nobody_is_reaped(self):
        script = "import os, time\nif os.fork() == 0:\n os.setsid()\n if os.fork() == 0:\n  time.sleep(0.3); os._exit(0)\n os._exit(0)\nos.wait(); time.sleep(99)"
        self.call("apply", self.spec("ann", bot("hang")[0], "-c", script))
        time.sleep(1.5)
        with open(f"/proc/{self.supervisord.process.pid}/task/{self.supervisord.process.pid}/children") as children:
            self.assertEqual(children.read().split(), [str(self.observe("ann")["pid"])])

    def child(self):
        path = self.supervisord.path("bots", "ann", "child.pid")

        def written():
            try:
                return int(read(path))
            except (OSError, ValueError):
                return None

        pid = until(written, "the child is there")
        os.unlink(path)
        return pid


def read(path):
    with open(path) as file:
        return file.read()


class ProcessOfItsOwnUser(Process):
    isolated = True

    def test_the_next_bot_of_the_slot_meets_no_process_of_the_last(self):
        self.call("apply", self.spec("ann", *bot("hang")))
        stray = os.fork()
        if stray == 0:
            os.setsid()
            os.setuid(UID_BASE + FIRST_PORT)
            while True:
                time.sleep(60)
        self.addCleanup(os.waitpid, stray, 0)
        self.addCleanup(os.kill, stray, signal.SIGKILL)  # first: nobody else may have ended it, and it ends by nothing else
        until(lambda: os.stat(f"/proc/{stray}").st_uid == UID_BASE + FIRST_PORT, "it has become the bot's user")
        kill(self.observe("ann")["pid"])
        self.until_observed("ann", lambda seen: seen["restarts"] == 1)
        self.assertFalse(is_alive(stray))


if __name__ == "__main__":
    unittest.main()
