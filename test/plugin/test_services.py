"""Shared services: up before the bots of their container, kept apart from them, and stopped after them."""

import base64
import gzip
import os
import re
import subprocess
import sys
import threading
import time
import unittest

from harness import FIRST_PORT, UID_BASE, Fault, Supervisord, bot, file, is_alive, kill, until
from prefork import PreforkTest
from services import NO_LIMITS, ServicesTest, program, step

PORTS = 65536


class Services(ServicesTest):
    def test_a_bot_waits_for_its_service_and_says_so(self):
        first = self.call("apply", self.tenant("ann", self.service("keeper", "--slow", "1")))
        self.assertEqual((first["state"], first["pid"]), ("starting", None))
        self.assertIn("waits for service keeper", first["reason"])
        self.until_state("ann", "running")
        self.assertGreaterEqual(self.observe("ann")["startedAt"], self.seen()["readyAt"])
        until(lambda: "hello ok" in self.output("ann"), "it has a room")
        self.assertEqual(self.observe("ann")["restarts"], 0)

    def test_one_service_is_for_all_bots(self):
        for slot, name in enumerate(("ann", "bob", "cid")):
            self.call("apply", self.tenant(name, slot=slot))
        for name in ("ann", "bob", "cid"):
            self.until_state(name, "running")
        self.assertEqual([(seen["name"], seen["restarts"]) for seen in self.call("observe")["services"]], [("keeper", 0)])
        self.assertEqual(sorted(self.rooms()), ["ann", "bob", "cid"])

    def test_a_bot_goes_on_while_its_service_dies_and_comes_back_alone(self):
        self.call("apply", self.tenant("ann"))
        before = self.until_state("ann", "running")
        service = self.until_ready()
        self.kill_service()
        after = self.until_service(lambda seen: seen["state"] == "running" and seen["pid"] != service["pid"])
        self.assertEqual((after["restarts"], after["lastExit"]["signal"]), (1, "SIGKILL"))
        now = self.observe("ann")
        self.assertEqual((now["pid"], now["restarts"], now["state"]), (before["pid"], 0, "running"))

    def test_a_service_that_always_ends_is_tried_again_for_ever_and_bots_wait(self):
        broken = self.service(command=[sys.executable, "-c", "raise SystemExit('no disk')"])
        self.call("apply", self.tenant("ann", broken))
        seen = self.until_service(lambda seen: seen["restarts"] >= 3, seconds=20)
        self.assertIn(seen["state"], ("backoff", "starting"))
        self.until_observed("ann", lambda seen: "exited with code 1" in seen["reason"])
        self.assertIsNone(self.observe("ann")["pid"])
        self.assertIn("no disk", self.service_output())
        self.apply(self.tenant("ann"))
        self.until_state("ann", "running")
        self.until_ready()

    def test_one_that_never_gets_ready_is_ended(self):
        readiness = {"kind": "socket", "path": self.socket(), "startupSeconds": 1, "watchdogSeconds": None}
        self.call("apply", self.tenant("ann", self.service("keeper", "--slow", "60", readiness=readiness)))
        self.until_service(lambda seen: "not ready 1 s after its start" in seen["reason"])
        self.assertIsNone(self.observe("ann")["pid"])

    def test_a_socket_file_without_a_listener_is_not_ready(self):
        make = "import socket, time; s = socket.socket(socket.AF_UNIX); s.bind(__import__('sys').argv[1]); time.sleep(60)"
        self.call("apply", self.tenant("ann", self.service(command=[sys.executable, "-c", make, self.socket()])))
        until(lambda: os.path.exists(self.socket()), "the socket is there")
        time.sleep(0.5)
        self.assertEqual(self.seen()["state"], "starting")

    def test_a_stop_of_a_waiting_bot_is_heeded(self):
        spec = self.tenant("ann", self.service("keeper", "--slow", "60"))
        self.call("apply", spec)
        self.apply(spec, run=False)
        self.until_state("ann", "stopped", 2)

    def test_a_service_runs_also_for_stopped_bots_and_ends_with_the_last_one(self):
        spec = self.tenant("ann", run=False)
        self.call("apply", spec)
        pid = self.until_ready()["pid"]
        self.assertEqual(self.observe("ann")["state"], "stopped")
        type(self).generation += 1
        self.call("remove", {"bot": "ann", "generation": self.generation})
        until(lambda: self.seen() is None, "it is gone")
        self.assertFalse(is_alive(pid))
        self.assertIn("keeper ends in order", self.service_output())
        self.assertTrue(os.path.isdir(self.home_of("keeper")))

    def test_one_that_no_new_spec_wants_stays_until_no_bot_lives(self):
        spec = self.tenant("ann")
        self.call("apply", spec)
        self.until_state("ann", "running")
        pid = self.seen()["pid"]
        spec = self.apply(spec, services=[])
        time.sleep(0.5)
        self.assertEqual(self.seen()["pid"], pid)
        self.apply(spec, run=False)
        until(lambda: self.seen() is None, "it is gone")
        self.assertIn("goodbye ok", self.output("ann"))

    def test_a_deaf_service_is_killed_after_its_grace(self):
        service = self.service("keeper", "--deaf", stop={"signal": "SIGTERM", "graceSeconds": 0.5})
        self.call("apply", self.tenant("ann", service, run=False))
        pid = self.until_ready()["pid"]
        type(self).generation += 1
        self.call("remove", {"bot": "ann", "generation": self.generation})
        until(lambda: not is_alive(pid), "it is dead")

    def test_what_it_leaves_running_is_ended_before_its_next_start(self):
        self.call("apply", self.tenant("ann", self.service("keeper", "--child")))
        pid = self.until_ready()["pid"]
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout.split()
        self.assertEqual(len(children), 1)
        self.kill_service()
        self.until_service(lambda seen: seen["state"] == "running" and seen["pid"] != pid)
        self.assertFalse(is_alive(int(children[0])))

    def test_ready_by_notify_and_by_being_alive(self):
        notify = "import os, socket, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); time.sleep(0.5); s.sendto(b'READY=1\\nSTATUS=up', os.environ['NOTIFY_SOCKET']); time.sleep(60)"
        said = {"kind": "notify", "startupSeconds": 20, "watchdogSeconds": None}
        alive = {"kind": "process", "startupSeconds": 20, "watchdogSeconds": None}
        uses = [
            self.use(self.service("one", command=[sys.executable, "-c", notify], readiness=said)),
            self.use(self.service("two", command=["sleep", "60"], readiness=alive)),
        ]
        self.call("apply", self.spec("ann", *bot("hang"), services=uses))
        self.until_ready("one")
        self.until_ready("two")
        self.assertEqual(self.seen("one")["status"], "up")
        self.until_state("ann", "running")

    def test_its_files_are_there_when_it_starts(self):
        show = [sys.executable, "-c", "print(open('conf/a.cnf').read(), flush=True); import time; time.sleep(60)"]
        service = self.service(command=show, files=[file("conf/a.cnf", "colour=blue")], readiness={"kind": "process", "startupSeconds": 9, "watchdogSeconds": None})
        self.call("apply", self.spec("ann", *bot("hang"), services=[self.use(service)]))
        until(lambda: "colour=blue" in self.service_output(), "it has read it")

    def test_its_memory_is_seen_and_its_ceiling_kept(self):
        limits = {**NO_LIMITS, "pssBytes": 60 << 20}
        self.call("apply", self.tenant("ann", self.service("keeper", "--eats", "100", limits=limits)))
        self.until_service(lambda seen: re.search("its ceiling is 60 MiB|its memory limit of 75 MiB", seen["reason"]), seconds=20)
        self.apply(self.tenant("ann", self.service(limits=limits)))
        self.until_service(lambda seen: seen["memory"] and 0 < seen["memory"]["pssBytes"] < 60 << 20, seconds=20)

    def test_wait_tells_of_it(self):
        self.call("apply", self.tenant("ann"))
        self.until_state("ann", "running")
        cursor = self.call("observe")["cursor"]
        self.kill_service()
        self.assertIn("service keeper", self.call("wait", {"cursor": cursor, "seconds": 10})["changed"])

    def test_what_is_wrong_in_a_definition_is_refused(self):
        for change in ({"name": "../x"}, {"name": "Big"}, {"command": []}, {"readiness": {"kind": "listen", "startupSeconds": 1, "watchdogSeconds": None}}):
            self.assertFault(1002, "apply", self.tenant("ann", {**self.service(), **change}))
        long = {"kind": "socket", "path": "/" + "x" * 120, "startupSeconds": 1, "watchdogSeconds": None}
        self.assertIn("too long", self.assertFault(1002, "apply", self.tenant("ann", self.service(readiness=long))))
        twice = self.use(self.service())
        self.assertFault(1002, "apply", self.spec("ann", "true", services=[twice, twice]))
        self.assertFault(1004, "service_log", {"service": "nobody", "offset": 0, "length": 100})


class Definitions(ServicesTest):
    def test_a_changed_one_waits_until_no_bot_runs(self):
        ann, bob = self.tenant("ann"), self.tenant("bob", slot=1)
        self.call("apply", ann)
        self.call("apply", bob)
        self.until_state("ann", "running")
        self.until_state("bob", "running")
        pid = self.seen()["pid"]
        changed = self.service(env={"COLOUR": "blue"})
        ann = self.apply(self.tenant("ann", changed))
        time.sleep(0.5)
        seen = self.seen()
        self.assertEqual((seen["pid"], seen["outdated"]), (pid, True))
        self.apply(ann, run=False)
        self.until_state("ann", "stopped")
        time.sleep(0.3)
        self.assertEqual(self.seen()["pid"], pid)
        self.apply(self.tenant("bob", changed, slot=1), run=False)
        seen = self.until_service(lambda seen: seen["state"] == "running" and seen["pid"] != pid)
        self.assertEqual((seen["outdated"], seen["restarts"]), (False, 0))
        with open(f"/proc/{seen['pid']}/environ") as environ:
            self.assertIn("COLOUR=blue", environ.read().split("\0"))

    def test_a_changed_one_is_taken_when_it_starts_again_by_itself(self):
        self.call("apply", self.tenant("ann"))
        ann = self.until_state("ann", "running")
        self.apply(self.tenant("ann", self.service(env={"COLOUR": "blue"})))
        pid = self.seen()["pid"]
        self.kill_service()
        seen = self.until_service(lambda seen: seen["pid"] not in (None, pid))
        self.assertFalse(seen["outdated"])
        self.assertEqual(self.observe("ann")["pid"], ann["pid"])

    def test_an_older_one_is_not_taken_over_a_newer(self):
        ann, bob = self.tenant("ann"), self.tenant("bob", self.service(env={"COLOUR": "blue"}), slot=1)
        self.call("apply", {**bob, "run": False})
        self.until_ready()
        self.call("apply", {**ann, "run": False})
        time.sleep(0.3)
        self.assertFalse(self.seen()["outdated"])
        with open(f"/proc/{self.seen()['pid']}/environ") as environ:
            self.assertIn("COLOUR=blue", environ.read().split("\0"))


class Forked(ServicesTest, PreforkTest):
    def test_a_forked_bot_waits_for_it_and_reaches_it_like_any_other(self):
        use = self.use(self.service("keeper", "--slow", "0.5"))
        seen = [
            self.serving("bot0", services=[use]),
            self.serving("bot1", slot=1, services=[use], prefork=None),
        ]
        self.assertEqual([bot["spawn"]["kind"] for bot in seen], ["prefork", "exec"])
        self.assertGreaterEqual(seen[0]["startedAt"], self.seen()["readyAt"])
        groups = [self.groups_of(bot["pid"]) for bot in seen]
        self.assertEqual(groups[0], groups[1])
        if self.isolated:
            self.assertEqual(groups[0], [str(os.stat(self.run_of("keeper")).st_gid)])

    def groups_of(self, pid):
        with open(f"/proc/{pid}/status") as file:
            return next(line for line in file if line.startswith("Groups:")).split()[1:]


class Rooms(ServicesTest):
    """Provision, deprovision and archive."""

    def archived(self, name):
        info = self.call("archive", {"bot": name})
        data = base64.b64decode(self.call("fetch", {"archive": info["archive"], "offset": 0, "length": 262144})["data"])
        return gzip.decompress(data).decode("latin-1")

    def stopped(self, spec):
        spec = self.apply(spec, run=False)
        self.until_state(spec["bot"], "stopped")
        return spec

    def test_without_its_room_a_bot_is_not_started_but_tried_again(self):
        spec = self.tenant("ann")
        spec["services"][0]["provision"] = [step(program("ask", self.socket()), "create ann\nnonsense open-sesame")]
        self.call("apply", spec)
        seen = self.until_observed("ann", lambda seen: seen["state"] == "backoff")
        self.assertIn("provision in keeper, step 1", seen["reason"])
        self.assertIn("exited with code 1", seen["reason"])
        self.assertIsNone(seen["pid"])
        self.assertIsNotNone(seen["nextStartAt"])
        self.apply(self.tenant("ann"))
        seen = self.until_state("ann", "running")
        self.assertEqual(seen["restarts"], 0)

    def test_passwords_are_neither_told_nor_logged_nor_on_a_command_line(self):
        password = "Sehr-geheim-1234567890"
        spec = self.tenant("ann", password=password)
        spec["services"][0]["provision"] = [step(program("ask", self.socket()), f"create ann {password}\nlet me in {password}", 5)]
        spec["services"][0]["provision"].append(step(["sleep", "60"]))
        self.call("apply", spec)
        seen = self.until_observed("ann", lambda seen: seen["state"] == "backoff")
        self.assertIn("let me in ***", seen["reason"])
        for text in (seen["reason"], self.supervisord.log(), self.service_output()):
            self.assertNotIn("Sehr-geheim", text)

    def test_a_step_has_a_deadline(self):
        spec = self.tenant("ann")
        spec["services"][0]["provision"] = [step(["sleep", "60"], seconds=0.5)]
        self.call("apply", spec)
        self.until_observed("ann", lambda seen: "was not done within 0.5 s" in seen["reason"])
        self.assertEqual(self.seen()["state"], "running")

    def test_room_is_made_once_for_each_change_not_for_each_start(self):
        def count():
            with open(os.path.join(self.home_of("keeper"), "count")) as file:
                return file.read()

        spec = self.tenant("ann")
        counting = step(["sh", "-c", 'echo x >> "$HOME/count"'])
        spec["services"][0]["provision"].append(counting)
        self.call("apply", spec)
        pid = self.until_state("ann", "running")["pid"]
        kill(pid)
        seen = self.until_observed("ann", lambda seen: seen["state"] == "running" and seen["pid"] != pid)
        self.assertEqual(count(), "x\n")
        self.apply(spec, restartGeneration=self.generation + 1)
        self.until_observed("ann", lambda now: now["state"] == "running" and now["pid"] != seen["pid"])
        self.assertEqual(count(), "x\nx\n")

    def test_what_is_in_the_service_is_in_the_archive_and_gone_after(self):
        spec = self.tenant("ann")
        self.call("apply", spec)
        until(lambda: self.rooms().get("ann", {}).get("text") == "hello", "it has written")
        self.stopped(spec)
        self.assertIn("bye", self.archived("ann"))
        self.call("apply", self.tenant("bob", slot=1))
        self.until_state("bob", "running")
        type(self).generation += 1
        self.call("remove", {"bot": "ann", "generation": self.generation})
        self.assertEqual(sorted(self.rooms()), ["bob"])

    def test_without_its_service_nothing_is_archived_and_nothing_removed(self):
        spec = self.tenant("ann")
        self.call("apply", spec)
        until(lambda: self.rooms().get("ann", {}).get("text") == "hello", "it has written")
        broken = self.service(command=["false"])
        self.stopped(self.tenant("ann", broken))
        self.until_service(lambda seen: seen["restarts"] > 0)
        self.assertIn("waits for service keeper", self.assertFault(1007, "archive", {"bot": "ann"}))
        type(self).generation += 1
        self.assertFault(1007, "remove", {"bot": "ann", "generation": self.generation})
        self.assertFault(1007, "reset", {"bot": "ann", "generation": self.generation, "steps": [], "verify": []})
        self.assertIn("ann", self.call("observe")["directories"])
        self.assertEqual(self.rooms()["ann"]["text"], "bye")
        self.stopped(self.tenant("ann"))
        self.until_ready()
        self.assertIn("bye", self.archived("ann"))

    def test_a_failed_copy_refuses_the_archive(self):
        spec = self.tenant("ann", run=False)
        spec["services"][0]["archive"] = [step(["false"])]
        self.call("apply", spec)
        self.until_ready()
        self.assertIn("archive from keeper, step 1 (false) exited with code 1", self.assertFault(1007, "archive", {"bot": "ann"}))
        self.assertEqual(os.listdir(self.supervisord.path("archives")), [])

    def test_a_bot_is_not_started_while_its_data_is_copied_for_a_backup(self):
        spec = self.tenant("ann", run=False)
        spec["services"][0]["archive"] = [step(["sh", "-c", "sleep 1.5 && echo copied > copy"])]
        self.call("apply", spec)
        self.until_ready()
        failures = []

        def back_up():
            try:
                self.call("discard", {"archive": self.call("backup", {"bot": "ann"})["archive"]})
            except Fault as fault:
                failures.append(fault.text)

        packing = threading.Thread(target=back_up)
        packing.start()
        time.sleep(0.5)
        self.apply(spec, run=True)
        self.until_state("ann", "running")
        packing.join()
        self.assertEqual(failures, [])
        with open(self.supervisord.path("bots", "ann", "copy")) as copy:
            self.assertEqual(copy.read(), "copied\n")

    def test_after_a_reset_room_is_made_again(self):
        spec = self.tenant("ann")
        self.call("apply", spec)
        self.until_state("ann", "running")
        spec = self.stopped(spec)
        drop = {"kind": "exec", "command": program("ask", self.socket()), "stdin": "rooms", "timeoutSeconds": 9}
        self.call("reset", {"bot": "ann", "generation": spec["generation"], "steps": [drop], "verify": []})
        os.unlink(os.path.join(self.home_of("keeper"), "rooms.json"))
        self.call("apply", {**spec, "run": True})
        self.until_state("ann", "running")
        until(lambda: self.rooms().get("ann", {}).get("text") == "hello", "it has its room")


class Isolated(Services):
    isolated = True

    def test_its_user_is_nobody_elses(self):
        for slot, name in enumerate(("ann", "bob")):
            self.call("apply", self.tenant(name, slot=slot))
            self.until_state(name, "running")
        uid = UID_BASE + PORTS + FIRST_PORT
        self.assertEqual(os.stat(f"/proc/{self.seen()['pid']}").st_uid, uid)
        home, run = os.stat(self.home_of("keeper")), os.stat(self.run_of("keeper"))
        self.assertEqual((home.st_uid, home.st_mode & 0o7777), (uid, 0o700))
        self.assertEqual((run.st_uid, run.st_gid, run.st_mode & 0o7777), (uid, uid, 0o710))

    def test_bots_reach_its_socket_and_nothing_else_of_it_and_strangers_not_even_that(self):
        look = (
            "import os, socket, sys, time\n"
            "def trial(what, act):\n"
            "    try: act(); print(what, 'yes', flush=True)\n"
            "    except OSError as error: print(what, 'no', flush=True)\n"
            "run, home, path = sys.argv[1:]\n"
            "trial('connect', lambda: socket.socket(socket.AF_UNIX).connect(path))\n"
            "trial('list', lambda: os.listdir(run))\n"
            "trial('write', lambda: open(run + '/x', 'w'))\n"
            "trial('unlink', lambda: os.unlink(path))\n"
            "trial('data', lambda: os.listdir(home))\n"
            "time.sleep(60)\n"
        )
        arguments = [sys.executable, "-c", look, self.run_of("keeper"), self.home_of("keeper"), self.socket()]
        self.call("apply", self.spec("ann", *arguments, services=[self.use(self.service())]))
        self.until_ready()
        until(lambda: "data" in self.output("ann"), "it has tried")
        self.assertEqual(self.output("ann").split("\n")[:5], ["connect yes", "list no", "write no", "unlink no", "data no"])
        self.call("apply", self.spec("bob", *arguments, slot=1))
        until(lambda: "data" in self.output("bob"), "it has tried")
        self.assertEqual(self.output("bob").split("\n")[:5], ["connect no", "list no", "write no", "unlink no", "data no"])

    def test_several_keep_their_users_whatever_comes_between(self):
        quiet = {"kind": "process", "startupSeconds": 20, "watchdogSeconds": None}

        def uses(*names):
            return [self.use(self.service(name, command=["sleep", "60"], readiness=quiet)) for name in names]

        def owner(name):
            return os.stat(self.home_of(name)).st_uid
        self.call("apply", self.spec("ann", *bot("hang"), services=uses("m1", "m2"), run=False))
        self.until_ready("m2")
        before = owner("m1"), owner("m2")
        self.apply(self.spec("ann", *bot("hang"), services=uses("m2"), run=False))
        until(lambda: self.seen("m1") is None, "it is gone")
        self.apply(self.spec("ann", *bot("hang"), services=uses("a0", "m2", "m1"), run=False))
        self.until_ready("a0")
        self.until_ready("m1")
        self.assertEqual((owner("m1"), owner("m2")), before)
        self.assertEqual(len({owner(name) for name in ("a0", "m1", "m2")}), 3)


class WithoutRoot(Rooms):
    """supervisord runs as somebody else: then all have one uid, and are told apart by what they have in their environment."""

    user = 232_000 + os.getpid() % 1000

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("takes a user of its own")
        super().setUpClass()

    def test_what_the_service_leaves_running_is_told_from_bots(self):
        service = self.service("keeper", "--child")
        self.call("apply", self.tenant("ann", service))
        ann, before = self.until_state("ann", "running"), self.seen()["pid"]
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(before)], capture_output=True, text=True).stdout.split()
        self.kill_service()
        self.until_service(lambda seen: seen["state"] == "running" and seen["pid"] != before)
        self.assertEqual((is_alive(int(children[0])), self.observe("ann")["pid"]), (False, ann["pid"]))
        self.assertEqual(os.stat(self.run_of("keeper")).st_mode & 0o7777, 0o700)


class IsolatedRooms(Rooms):
    isolated = True

    def test_the_loop_is_not_held(self):
        spec = self.tenant("ann", self.service("keeper", "--slow", "0.3", "--eats", "200"))
        spec["services"][0]["provision"].append(step([sys.executable, "-c", "print('x' * 1_000_000)"]))
        self.supervisord.call("longest", namespace="probe")
        self.call("apply", spec)
        self.until_state("ann", "running")
        self.kill_service()
        self.until_service(lambda seen: seen["state"] == "running" and seen["restarts"] == 1)
        self.stopped(spec)
        self.archived("ann")
        type(self).generation += 1
        self.call("remove", {"bot": "ann", "generation": self.generation})
        until(lambda: self.seen() is None, "it is gone")
        held = self.supervisord.call("longest", namespace="probe")
        print(f"\na service: of {held['turns']} turns the longest took {held['clock']:.1f} ms by the clock, {held['worked']:.1f} ms of work", flush=True)
        # As in test_speed.py: single turns are the machine's as much as ours.
        self.assertLessEqual(held["workedOver"], max(1, held["turns"] * 0.05))

    def test_steps_leave_nothing_running_and_spare_the_service(self):
        spec = self.tenant("ann")
        spec["services"][0]["provision"].append(step(["sh", "-c", "setsid sleep 1234 >/dev/null 2>&1 & exit 0"]))
        self.call("apply", spec)
        self.until_state("ann", "running")
        self.assertEqual(self.seen()["restarts"], 0)
        self.assertEqual(subprocess.run(["pgrep", "-u", str(UID_BASE + PORTS + FIRST_PORT), "-f", "sleep 1234"], capture_output=True).stdout, b"")


class Ends(unittest.TestCase):
    """Of supervisord, in order and not."""

    isolated = False

    def setUp(self):
        if self.isolated and os.geteuid() != 0:
            self.skipTest("a uid for each slot takes root")
        helper = type("Helper", (ServicesTest,), {"runTest": lambda self: None, "isolated": self.isolated})
        self.test = helper()
        helper.supervisord = Supervisord(isolated=self.isolated)
        helper.generation = 0
        self.supervisord = helper.supervisord
        self.addCleanup(self.supervisord.close)
        self.supervisord.start()

    def test_services_are_stopped_after_all_bots(self):
        for slot, name in enumerate(("ann", "bob")):
            self.test.call("apply", self.test.tenant(name, slot=slot))
        for name in ("ann", "bob"):
            until(lambda: "hello ok" in self.test.output(name), f"{name} has its room", 15, lambda: self.test.observe(name))
        began = time.monotonic()
        self.supervisord.stop()
        self.assertLess(time.monotonic() - began, 10)
        self.assertEqual({name: room["text"] for name, room in self.test.rooms().items()}, {"ann": "bye", "bob": "bye"})
        self.assertTrue(os.path.exists(os.path.join(self.test.home_of("keeper"), "ended")))

    def test_a_killed_supervisord_leaves_nothing_doubled(self):
        # Its child is no child of supervisord: the kernel does not end it with that.
        spec = self.test.tenant("ann", self.test.service("keeper", "--child"))
        self.test.call("apply", spec)
        self.test.until_state("ann", "running")
        pid = self.test.seen()["pid"]
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout.split()
        self.supervisord.kill()
        until(lambda: not is_alive(pid), "the kernel ends the service with its supervisord")
        self.assertTrue(is_alive(int(children[0])))
        self.supervisord.start()
        self.assertEqual(self.test.call("observe")["services"], [])
        self.test.call("apply", spec)
        self.test.until_state("ann", "running")
        self.assertFalse(is_alive(int(children[0])))
        self.assertEqual(sorted(self.test.rooms()), ["ann"])


class IsolatedEnds(Ends):
    isolated = True


if __name__ == "__main__":
    unittest.main()
