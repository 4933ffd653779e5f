"""From one tenant of a slot to the next: nothing of the first may be found by the second, nor by anybody who looks for it."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
import unittest

from harness import FIRST_PORT, UID_BASE, PluginTest, bot, file, is_alive, kill, until

PYTHON = bot("hang")[0]
UID = UID_BASE + FIRST_PORT
SHARED = ("/tmp", "/var/tmp", "/dev/shm", "/run/lock")


def run(script, *arguments, stdin="", seconds=20):
    return {"kind": "exec", "command": [PYTHON, "-c", script, *arguments], "stdin": stdin, "timeoutSeconds": seconds}


def clear(*keep):
    return {"kind": "clear", "keep": list(keep)}


class ResetTest(PluginTest):
    def home(self, *parts):
        return self.supervisord.path("bots", "ann", *parts)

    def stopped(self, *command, **changes):
        """A bot that has run as `command`, if any, until it was ready, and is stopped."""
        spec = self.spec("ann", *(command or ["true"]), **{"run": bool(command), **changes})
        self.call("apply", spec)
        if command:
            self.until_state("ann", "running", 30)
            spec = self.apply(spec, run=False)
            self.until_state("ann", "stopped")
        return spec

    def reset(self, *steps, verify=(), generation=None, **options):
        rule = {"steps": list(steps), "verify": list(verify)}
        return self.call("reset", {"bot": "ann", "generation": generation or self.generation, **rule}, **options)

    def refused(self, code, *steps, verify=(), generation=None):
        rule = {"steps": list(steps), "verify": list(verify)}
        return self.assertFault(code, "reset", {"bot": "ann", "generation": generation or self.generation, **rule})

    def tree(self):
        return sorted(
            os.path.relpath(os.path.join(path, name), self.home())
            for path, folders, names in os.walk(self.home())
            for name in folders + names
        )


class Steps(ResetTest):
    isolated = True

    def test_steps_run_in_order_like_the_bot_itself(self):
        look = "import json, os, resource, sys; print(json.dumps([dict(os.environ), os.getcwd(), os.getresuid(), os.getgroups(), os.umask(0), resource.getrlimit(resource.RLIMIT_NOFILE), sys.stdin.read(), os.getsid(0) == os.getpid()]), file=open('seen', 'w'))"
        limits = {**self.spec("ann", "true")["limits"], "openFiles": 123}
        self.stopped(env={"PORT": "7", "GREETING": "grüß"}, limits=limits)
        append = "import sys; open('order', 'a').write(sys.argv[1])"
        self.reset(run(append, "1"), run(look, stdin="SELECT 'ü';\n" * 20_000), run(append, "2"), verify=[run(append, "3")])
        with open(self.home("order")) as order, open(self.home("seen")) as seen:
            self.assertEqual(order.read(), "123")
            env, cwd, uids, groups, umask, files, stdin, leads = json.load(seen)
        self.assertEqual((env["GREETING"], env["BUNKHOUSE_BOT"], env["HOME"]), ("grüß", "ann", self.home()))
        self.assertNotIn("PYTHONPATH", env)
        self.assertEqual((cwd, uids, groups, umask, files, leads), (self.home(), [UID] * 3, [], 0o077, [123, 123], True))
        self.assertEqual(stdin, "SELECT 'ü';\n" * 20_000)

    def test_the_first_that_fails_is_the_last_and_says_what_it_printed(self):
        self.stopped(env={"PORT": "7", "TOKEN": "very secret"})
        fail = "import sys; print('x' * 100_000 + ' the \x1b[31mend ü'); sys.exit(3)"
        text = self.refused(1006, run("pass"), run(fail, "hidden argument", stdin="hidden input"), run("open('after', 'w')"))
        self.assertRegex(text, r"step 2 \(\S+\) exited with code 3; its output ends: x+ the \?\[31mend")
        self.assertLess(len(text), 5000)
        for hidden in ("hidden argument", "hidden input", "very secret"):
            self.assertNotIn(hidden, text)
        self.assertEqual(self.tree(), [])
        text = self.refused(1006, run("open('after', 'w')"), verify=[run("pass"), run("raise SystemExit('not clean')")])
        self.assertIn("check 2", text)
        self.assertIn("not clean", text)
        self.assertIn("cannot start", self.refused(1006, {**run(""), "command": ["/no/such/program"]}))

    def test_a_deadline_ends_all_that_the_step_began(self):
        self.stopped()
        script = (
            "import os, signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "if os.fork() == 0:\n os.setsid()\n if os.fork() == 0:\n  os.execve(sys.executable, [sys.executable, '-c', 'import time; time.sleep(99)'], {})\n os._exit(0)\n"
            "print('begun', flush=True); time.sleep(99)"
        )
        started = time.monotonic()
        text = self.refused(1006, run(script, seconds=1.5))
        self.assertIn("was not done within 1.5 s", text)
        self.assertIn("begun", text)
        self.assertGreater(time.monotonic() - started, 1.4)
        self.assertEqual(processes_of(UID), [])

    def test_what_a_good_step_leaves_running_is_ended_and_not_waited_for(self):
        self.stopped()
        daemon = "import os, time\nif os.fork() == 0:\n os.setsid(); time.sleep(99)\nopen('/tmp/of-a-step-' + str(os.getuid()), 'w')"
        self.reset(run(daemon))
        self.assertEqual(everything_of(UID, self.supervisord.directory), {})

    def test_a_lot_of_output_holds_nobody_up(self):
        self.stopped()
        self.reset(run("print('x' * 50_000_000)"))

    def test_refused_while_its_process_lives_and_to_older_generations(self):
        spec = self.spec("ann", *bot("hang"))
        pid = self.call("apply", spec)["pid"]
        self.refused(1003, clear())
        self.assertEqual(self.observe("ann")["pid"], pid)
        self.apply(spec, run=False)
        self.until_state("ann", "stopped")
        self.assertIn("is older than", self.refused(1001, clear(), generation=spec["generation"]))
        self.reset()
        newer = self.generation + 5
        self.reset(generation=newer)
        self.refused(1001, generation=newer - 1)
        self.assertFault(1001, "apply", self.spec("ann", "true"))
        type(self).generation = newer

    def test_a_bot_that_is_not_there_or_was_removed(self):
        self.stopped()
        self.assertFault(1004, "reset", {"bot": "bob", "generation": 1, "steps": [], "verify": []})
        self.call("remove", {"bot": "ann", "generation": self.generation})
        self.refused(1004)

    def test_bad_rules(self):
        self.stopped()
        good = {"bot": "ann", "generation": self.generation, "steps": [], "verify": []}
        for bad in (
            {"steps": None}, {"steps": [{"kind": "shell"}]}, {"verify": [clear()]}, {"steps": [clear("../x")]}, {"steps": [clear("/etc")]},
            {"steps": [{**run(""), "command": []}]}, {"steps": [{**run(""), "timeoutSeconds": 0}]}, {"steps": [{**run(""), "stdin": None}]},
            {"bot": "../ann"}, {"generation": -1},
        ):
            self.assertFault(1002, "reset", {**good, **bad})

    def test_the_next_start_waits_for_the_reset(self):
        spec = self.stopped()
        slow = threading.Thread(target=self.reset, args=(run("import time; time.sleep(1.5)"),))
        slow.start()
        time.sleep(0.3)
        started = time.monotonic()
        self.apply(spec, command=bot("hang"), run=True)
        self.assertGreater(time.monotonic() - started, 0.8)
        self.until_state("ann", "running")
        slow.join()

    def test_the_next_tenant_hears_nothing_of_the_last(self):
        self.stopped(*bot("server"), readiness={"kind": "notify", "startupSeconds": 20, "watchdogSeconds": None})
        self.assertIn("ann", self.output("ann"))
        with open(self.supervisord.path("logs", "ann.log.1"), "w") as rotated, open(self.supervisord.path("logs", "ann.log.log"), "w") as other:
            rotated.write("old")
            other.write("another bot's")
        archive = self.call("archive", {"bot": "ann"})["archive"]
        self.assertEqual(self.reset(clear()), {"isolated": True})
        self.assertEqual(self.output("ann"), "")
        self.assertEqual([name for name in os.listdir(self.supervisord.path("logs")) if name.startswith("ann")], ["ann.log.log"])
        os.unlink(self.supervisord.path("logs", "ann.log.log"))
        seen = self.observe("ann")
        forgotten = {"lastExit": None, "restarts": 0, "status": "", "reason": "", "warning": "", "memory": None, "diskBytes": None, "startedAt": None}
        self.assertEqual({name: seen[name] for name in forgotten}, forgotten)
        self.assertFault(1004, "fetch", {"archive": archive, "offset": 0, "length": 10})

    def test_the_loop_is_not_held(self):
        self.stopped(*bot("dirty"), readiness={"kind": "notify", "startupSeconds": 30, "watchdogSeconds": None})
        self.supervisord.call("longest", namespace="probe")
        self.reset(clear(), run("print('x' * 1_000_000)"), verify=[run("pass")])
        held = self.supervisord.call("longest", namespace="probe")
        print(f"\na reset: of {held['turns']} turns the longest took {held['clock']:.1f} ms by the clock, {held['worked']:.1f} ms of work", flush=True)
        # As in test_speed.py: single turns are the machine's as much as ours.
        self.assertLessEqual(held["workedOver"], max(1, held["turns"] * 0.05))


class Clear(ResetTest):
    isolated = True

    def test_all_but_the_kept_paths_goes(self):
        names = ["keep", "data/keep", "data/go", "data/sub/x", "gone/x", "kept/deep/x"]
        self.stopped(files=[file(name, name) for name in names])
        self.reset(clear("keep", "data/keep", "kept", "never/there"))
        self.assertEqual(self.tree(), ["data", "data/keep", "keep", "kept", "kept/deep", "kept/deep/x"])
        self.reset(clear())
        self.assertEqual(self.tree(), [])

    def test_a_link_in_the_way_to_what_is_kept_is_not_followed(self):
        self.stopped()
        outside = self.supervisord.path("outside")
        os.makedirs(f"{outside}/inner")
        os.chmod(outside, 0o755)
        os.chown(f"{outside}/inner", UID, UID)
        os.symlink(outside, self.home("data"))
        os.lchown(self.home("data"), UID, UID)
        self.reset(clear("data/keep"))
        self.assertFalse(os.path.lexists(self.home("data")))
        self.assertEqual(os.listdir(outside), ["inner"])

    def test_what_belongs_to_another_is_an_error(self):
        self.stopped()
        for name in ("file", "folder/inner"):
            with self.subTest(name):
                os.makedirs(os.path.dirname(self.home(name)), exist_ok=True)
                os.chown(os.path.dirname(self.home(name)), UID, UID)
                with open(self.home(name), "w"):
                    pass
                self.assertRegex(self.refused(1006, clear()), r"step 1 \(clear\) failed: belongs to uid 0")
                os.unlink(self.home(name))

    def test_what_cannot_be_removed_is_an_error(self):
        self.stopped(files=[file("fixed", "x")])
        if subprocess.run(["chattr", "+i", self.home("fixed")], capture_output=True).returncode != 0:
            self.skipTest("no immutable files here")
        try:
            self.assertIn("fixed", self.refused(1006, clear()))
        finally:
            subprocess.run(["chattr", "-i", self.home("fixed")], check=True)
        self.reset(clear())

    def test_the_directory_itself_is_as_new(self):
        self.stopped()
        os.setxattr(self.home(), "user.dirt", b"x")
        os.chmod(self.home(), 0o1777)
        self.reset()
        self.assertEqual((os.stat(self.home()).st_mode & 0o7777, os.listxattr(self.home())), (0o700, []))


@unittest.skipUnless(os.geteuid() == 0, "a uid for each slot takes root")
class Dirt(ResetTest):
    """Each test searches by itself, as root, for the uid: in all files, processes, kernel objects, ports and keys."""

    isolated = True
    READY = {"kind": "notify", "startupSeconds": 60, "watchdogSeconds": None}

    def dirty(self):
        """What the bot says it left; it is stopped again, and all but what ends with a process is still there."""
        self.assertEqual(everything_of(UID, self.supervisord.directory), {})
        self.addCleanup(subprocess.run, ["rm", "-rf", self.home()])  # too deep for the harness
        spec = self.spec("ann", *bot("dirty"), readiness=self.READY)
        self.call("apply", spec)
        self.until_state("ann", "running", 60)
        said = json.loads(self.output("ann").split("DIRT ")[1].split("\n")[0])
        self.assertTrue(is_alive(said["left"]["daemon"]))
        self.assertIn("port", everything_of(UID, self.supervisord.directory))
        self.apply(spec, run=False)
        self.until_state("ann", "stopped")
        return said

    def test_nothing_is_left_and_what_is_there_was_seen_before(self):
        said = self.dirty()
        print("\nnot to be had on this machine:", said["missing"], flush=True)
        self.assertLessEqual(set(said["missing"]), {"queue", "keys", "crontab"})
        before = everything_of(UID, self.supervisord.directory)
        # The search would find it: each kind of what the bot left and its stop did not end.
        wanted = {"/tmp", "/var/tmp", "/dev/shm", "/run/lock", "shm", "sem", "msg"} | {kind for kind in ("queue", "keys") if kind in said["left"]}
        self.assertLessEqual(wanted, set(before))
        bystander = "/tmp/bunkhouse-test-of-a-bystander"
        os.close(os.open(bystander, os.O_CREAT | os.O_WRONLY))
        self.addCleanup(os.unlink, bystander)
        os.chown(bystander, UID + 7, UID + 7)
        self.assertEqual(self.reset(clear(), verify=[run("import os; assert os.listdir('.') == []")]), {"isolated": True})
        self.assertEqual(everything_of(UID, self.supervisord.directory), {})
        self.assertEqual(files_of(UID, "/"), [self.home()])
        self.assertEqual(self.tree(), [])
        self.assertEqual(os.stat(self.home()).st_mode & 0o7777, 0o700)
        self.assertTrue(os.path.exists(bystander))

    def test_a_failed_step_leaves_no_process_and_the_next_reset_succeeds(self):
        self.dirty()
        self.refused(1006, clear(), verify=[run("raise SystemExit(1)")])
        self.assertEqual(processes_of(UID), [])
        self.reset(clear())
        self.assertEqual(everything_of(UID, self.supervisord.directory), {})

    def test_killed_at_any_time_and_done_again(self):
        for delay in (0.05, 0.3, 2.0):
            with self.subTest(delay):
                self.dirty()
                step = run("import os, time\nif os.fork() == 0: os.setsid()\nopen('/tmp/step-of-' + str(os.getuid()), 'w')\ntime.sleep(60)", seconds=90)
                broken = threading.Thread(target=self.broken_off, args=(clear(), step))
                broken.start()
                time.sleep(delay)
                helpers = children_of(self.supervisord.process.pid)
                self.supervisord.kill()
                broken.join()
                until(lambda: not any(map(is_alive, helpers)), "the helper dies with supervisord")
                self.supervisord.start()
                self.stopped()
                self.reset(clear())
                self.assertEqual(everything_of(UID, self.supervisord.directory), {})
                self.assertEqual(self.tree(), [])

    def test_remove_takes_what_is_outside_too(self):
        self.dirty()
        self.call("remove", {"bot": "ann", "generation": self.generation})
        self.assertEqual(everything_of(UID, self.supervisord.directory), {})
        self.dirty()
        self.supervisord.kill()
        self.supervisord.start()
        self.call("remove", {"bot": "ann", "generation": self.generation})
        self.assertEqual(everything_of(UID, self.supervisord.directory), {})

    def test_in_a_neighbours_directory_and_with_a_neighbours_files_in_ones_own(self):
        self.stopped()
        top, other = f"/tmp/bunkhouse-neighbours-{UID}", UID + 1
        self.addCleanup(subprocess.run, ["rm", "-rf", top, f"{top}-own"])
        for path, owner, mode in ((top, other, 0o1777), (f"{top}/mine", UID, 0o700), (f"{top}-own", UID, 0o1777), (f"{top}-own/theirs", other, 0o1700)):
            os.mkdir(path)
            os.chmod(path, mode)
            os.chown(path, owner, owner)
        with open(f"{top}-own/theirs/file", "w"):
            pass
        self.reset()
        self.assertEqual((everything_of(UID, self.supervisord.directory), os.listdir(top)), ({}, []))

    def test_where_only_a_setgid_program_could_put_it(self):
        self.stopped()
        tables = f"/var/tmp/bunkhouse-crontabs-{UID}"  # like /var/spool/cron/crontabs
        self.addCleanup(subprocess.run, ["rm", "-rf", tables])
        os.mkdir(tables)
        os.chown(tables, 0, 12)
        os.chmod(tables, 0o1730)
        os.close(os.open(f"{tables}/ann", os.O_CREAT | os.O_WRONLY))
        os.chown(f"{tables}/ann", UID, 12)
        self.reset()
        self.assertEqual(os.listdir(tables), [])

    def test_what_a_neighbour_still_uses_makes_the_slot_unfit(self):
        self.stopped()
        script = "import ctypes, os, time; libc = ctypes.CDLL(None)\nnumber = libc.shmget(0, 4096, 0o1666)\nprint(number, flush=True)"
        made = subprocess.run([PYTHON, "-c", script], user=UID, group=UID, capture_output=True, text=True, check=True)
        script = f"import ctypes; libc = ctypes.CDLL(None); libc.shmat.restype = ctypes.c_void_p; libc.shmat({made.stdout}, None, 0); print('attached', flush=True); input()"
        with subprocess.Popen([PYTHON, "-c", script], user=UID + 1, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as neighbour:
            try:
                neighbour.stdout.readline()
                self.assertRegex(self.refused(1006), r"System V shm \d+ is still in use")
            finally:
                neighbour.kill()
        self.reset()
        self.assertEqual(everything_of(UID, self.supervisord.directory), {})

    def test_a_program_that_took_rights_of_its_own_is_ended_too(self):
        self.stopped()
        stray = os.fork()
        if stray == 0:
            os.setresuid(UID, 0, 0)  # as a setuid program that the bot started
            while True:
                time.sleep(60)
        self.addCleanup(os.waitpid, stray, 0)
        self.addCleanup(os.kill, stray, signal.SIGKILL)  # first: it ends by nothing else
        until(lambda: stray in processes_of(UID), "it has taken them")
        self.reset()
        self.assertFalse(is_alive(stray))

    def broken_off(self, *steps):
        try:
            self.reset(*steps)
        except OSError:
            pass  # supervisord is gone


class OneUserForAll(ResetTest):
    """Without uids of their own, only what bears the bot's marks can be told from others'."""

    def test_processes_and_directory_are_cleaned_and_the_answer_says_that_no_more_was(self):
        other = self.call("apply", self.spec("bob", *bot("hang"), slot=1))["pid"]
        spec = self.spec("ann", *bot("orphan"), "--new-session", files=[file("d/locked/x", "x", 0o000)])
        self.call("apply", spec)
        until(lambda: "child" in self.output("ann"), "it has a child")
        child = int(self.output("ann").split()[1])
        os.chmod(self.home("d", "locked"), 0)
        self.apply(spec, run=False, files=[])
        self.until_state("ann", "stopped")
        self.assertEqual(self.reset(clear(), run("open('new', 'w')")), {"isolated": False})
        self.assertEqual(self.tree(), ["new"])
        self.assertFalse(is_alive(child))
        self.assertTrue(is_alive(other))
        self.assertIn("exited with code 2", self.refused(1006, run("raise SystemExit(2)")))

    def test_a_deadline(self):
        self.stopped()
        script = "import os, time\nif os.fork() == 0: os.setsid()\nopen('pids', 'a').write(f'{os.getpid()}\\n'); time.sleep(99)"
        self.refused(1006, run(script, seconds=1))
        with open(self.home("pids")) as pids:
            self.assertFalse(any(is_alive(int(pid)) for pid in pids))


def everything_of(uid, directory):
    """{place: what is there} for everything of that uid but its directory."""
    found = {"processes": processes_of(uid), "queue": queues_of(uid), "keys": keys_of(uid)}
    for kind in ("shm", "sem", "msg"):
        found[kind] = objects_of(kind, uid)
    for path in files_of(uid):
        if not path.startswith(directory):
            found.setdefault(next((place for place in SHARED if path.startswith(f"{place}/")), path), []).append(path)
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", uid - UID_BASE))
        except OSError:
            found["port"] = uid - UID_BASE
    return {place: what for place, what in found.items() if what}


def processes_of(uid):
    """By any of their uids."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/status") as status:
                fields = dict(line.split(":", 1) for line in status)
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(uid) in fields["Uid"].split() and fields["State"].split()[0] not in "ZX":
            found.append(int(pid))
    return found


def files_of(uid, *places):
    """`places`: where to look, with everything on the same disk; preset: where anybody may write."""
    command = ["find", *(places or SHARED), "/var", "/run", "/dev", "-xdev", "-uid", str(uid), "-print0"]
    output = subprocess.run(command, capture_output=True, timeout=120).stdout
    return [os.fsdecode(path) for path in output.split(b"\0") if path]


def objects_of(kind, uid):
    listed = subprocess.run(["ipcs", "-c", {"shm": "-m", "sem": "-s", "msg": "-q"}[kind]], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if str(uid) in line.split()]


def queues_of(uid):
    """Mounted in a namespace of the search's own."""
    script = f"mount -t mqueue mqueue /mnt && find /mnt -mindepth 1 -uid {uid}"
    return subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True).stdout.split()


def keys_of(uid):
    """What the user's keyrings hold, as its own process sees it."""
    script = "print(*(line for line in open('/proc/keys') if not line.rstrip().endswith(': empty')), sep='', end='')"
    seen = subprocess.run([PYTHON, "-c", script], user=uid, group=uid, extra_groups=[], capture_output=True, text=True, check=True).stdout
    return [line for line in seen.splitlines() if f"_uid.{uid}:" in line or f"_persistent.{uid}:" in line]


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return [int(child) for child in children.read().split()]


if __name__ == "__main__":
    unittest.main()
