"""From apply to stop, and everything a process can do in between."""

import signal
import time
import unittest
import urllib.request

from harness import FIRST_PORT, PluginTest, bot, is_alive, kill, until


class Lifecycle(PluginTest):
    def test_a_bot_that_says_ready_is_running_and_answers(self):
        spec = self.spec("ann", *bot("server"), readiness={"kind": "notify", "startupSeconds": 20, "watchdogSeconds": 5})
        first = self.call("apply", spec)
        self.assertEqual(first["state"], "starting")
        self.assertIsNotNone(first["pid"])
        seen = self.until_state("ann", "running")
        self.assertEqual(seen["pid"], first["pid"])
        self.assertIsNotNone(seen["readyAt"])
        with urllib.request.urlopen(f"http://127.0.0.1:{FIRST_PORT}/") as answer:
            self.assertIn(b'"bot_name": "ann"', answer.read())
        self.until_observed("ann", lambda seen: seen["status"] == "State: RUNNING." and seen["listener"] == "self")

    def test_applying_twice_changes_nothing(self):
        spec = self.spec("ann", *bot("hang"))
        pid = self.call("apply", spec)["pid"]
        self.assertEqual(self.call("apply", spec)["pid"], pid)
        self.assertEqual(self.call("apply", {**spec, "generation": spec["generation"]})["pid"], pid)

    def test_a_changed_command_waits_for_the_next_start(self):
        spec = self.spec("ann", *bot("hang"))
        pid = self.call("apply", spec)["pid"]
        spec = self.apply(spec, command=[*bot("deaf")])
        self.assertEqual(self.observe("ann")["pid"], pid)
        kill(pid)
        self.until_observed("ann", lambda seen: seen["pid"] not in (None, pid))
        until(lambda: "not listening to you" in self.output("ann"), "the new command ran")

    def test_it_tells_the_marks_its_process_was_started_with(self):
        spec = self.spec("ann", *bot("hang"), marks={"env": "one"})
        pid = self.call("apply", spec)["pid"]
        spec = self.apply(spec, marks={"env": "two"})
        self.assertEqual(self.observe("ann")["marks"], {"env": "one"})
        kill(pid)
        seen = self.until_observed("ann", lambda seen: seen["pid"] not in (None, pid))
        self.assertEqual(seen["marks"], {"env": "two"})
        self.apply(spec, run=False)
        self.assertIsNone(self.until_state("ann", "stopped")["marks"])

    def test_a_newer_restart_generation_restarts_once_and_counts_no_failure(self):
        spec = self.spec("ann", *bot("hang"))
        pid = self.call("apply", spec)["pid"]
        spec = self.apply(spec)
        spec = self.apply(spec, restartGeneration=spec["generation"] + 1)
        seen = self.until_observed("ann", lambda seen: seen["pid"] not in (None, pid))
        self.assertEqual(seen["restarts"], 0)
        self.assertTrue(seen["lastExit"]["expected"])
        self.assertEqual(seen["startedGeneration"], spec["generation"])
        self.apply(spec)
        time.sleep(0.3)
        self.assertEqual(self.observe("ann")["pid"], seen["pid"])

    def test_a_stopped_bot_gets_its_signal_and_stays_stopped(self):
        spec = self.spec("ann", *bot("server"), stop={"signal": "SIGINT", "graceSeconds": 5})
        self.call("apply", spec)
        until(lambda: "ann starts" in self.output("ann"), "it runs")
        self.apply(spec, run=False)
        seen = self.until_state("ann", "stopped")
        self.assertEqual(seen["lastExit"] | {"at": 0}, {"code": 130, "signal": None, "at": 0, "expected": True})
        time.sleep(0.5)
        self.assertIsNone(self.observe("ann")["pid"])

    def test_a_deaf_bot_is_killed_after_its_grace(self):
        spec = self.spec("ann", *bot("deaf"), stop={"signal": "SIGTERM", "graceSeconds": 0.5})
        self.call("apply", spec)
        until(lambda: "not listening" in self.output("ann"), "it is deaf")
        started = time.monotonic()
        self.apply(spec, run=False)
        self.until_state("ann", "stopping")
        seen = self.until_state("ann", "stopped")
        self.assertEqual(seen["lastExit"]["signal"], "SIGKILL")
        self.assertTrue(0.45 < time.monotonic() - started < 1.5)

    def test_a_killed_bot_comes_back(self):
        spec = self.spec("ann", *bot("hang"))
        pid = self.call("apply", spec)["pid"]
        kill(pid)
        seen = self.until_observed("ann", lambda seen: seen["pid"] not in (None, pid))
        self.assertEqual(seen["restarts"], 1)
        self.assertEqual(seen["lastExit"]["signal"], "SIGKILL")
        self.assertFalse(seen["lastExit"]["expected"])

    def test_exit_0_is_no_success_and_the_wait_grows_up_to_its_cap(self):
        spec = self.spec("ann", *bot("crash"), "--code", "0", backoff={"minSeconds": 0.2, "maxSeconds": 0.8, "healthySeconds": 60})
        self.call("apply", spec)
        seen = self.until_observed("ann", lambda seen: seen["restarts"] >= 5 and seen["state"] == "backoff", 20)
        self.assertEqual(seen["lastExit"]["code"], 0)
        self.assertIn("exited with code 0", seen["reason"])
        self.assertTrue(0 < seen["nextStartAt"] - seen["lastExit"]["at"] <= 0.81)
        self.assertGreater(seen["nextStartAt"] - seen["lastExit"]["at"], 0.39)

    def test_a_healthy_run_starts_the_backoff_anew(self):
        spec = self.spec("ann", *bot("crash"), "--after", "1.5", backoff={"minSeconds": 0.2, "maxSeconds": 30, "healthySeconds": 0.3})
        self.call("apply", spec)
        seen = self.until_observed("ann", lambda seen: seen["restarts"] >= 2 and seen["state"] == "backoff", 20)
        self.assertLess(seen["nextStartAt"] - seen["lastExit"]["at"], 0.25)

    def test_only_a_newer_generation_cuts_the_wait_short(self):
        spec = self.spec("ann", *bot("crash"), backoff={"minSeconds": 60, "maxSeconds": 60, "healthySeconds": 60})
        self.call("apply", spec)
        self.until_state("ann", "backoff")
        self.call("apply", spec)
        self.assertEqual(self.observe("ann")["restarts"], 0)
        self.apply(spec)
        self.until_observed("ann", lambda seen: seen["restarts"] == 1)

    def test_stopping_a_bot_that_waits_for_its_next_try(self):
        spec = self.spec("ann", *bot("crash"), backoff={"minSeconds": 60, "maxSeconds": 60, "healthySeconds": 60})
        self.call("apply", spec)
        self.until_state("ann", "backoff")
        self.apply(spec, run=False)
        self.until_state("ann", "stopped")

    def test_a_program_that_is_not_there_says_so_and_is_tried_again(self):
        self.call("apply", self.spec("ann", "/no/such/program"))
        seen = self.until_observed("ann", lambda seen: seen["restarts"] >= 1)
        self.assertEqual(seen["lastExit"]["code"], 127)
        self.assertIn("cannot start /no/such/program", self.output("ann"))

    def test_the_process_dies_with_supervisord_and_shutdown_stops_all_at_once(self):
        pids = []
        for slot in range(4):
            spec = self.spec(f"bot{slot}", *bot("deaf"), slot=slot, stop={"signal": "SIGTERM", "graceSeconds": 1})
            pids.append(self.call("apply", spec)["pid"])
        until(lambda: "deaf" and all("not listening" in self.output(f"bot{slot}") for slot in range(4)), "they are deaf")
        started = time.monotonic()
        self.supervisord.stop()
        self.assertLess(time.monotonic() - started, 3)
        self.assertFalse(any(map(is_alive, pids)))
        self.supervisord.start()
        self.assertEqual(self.call("observe")["bots"], [])
        self.assertEqual(sorted(self.call("observe")["directories"]), ["bot0", "bot1", "bot2", "bot3"])
        dormant = sorted(self.call("observe")["dormant"], key=lambda bot: bot["slot"])
        self.assertEqual([(bot["bot"], bot["slot"]) for bot in dormant], [(f"bot{slot}", slot) for slot in range(4)])
        self.assertTrue(all(bot["generation"] > 0 for bot in dormant))
        for slot in range(4):
            self.generation += 1
            self.call("remove", {"bot": f"bot{slot}", "generation": 1000 + slot})
        type(self).generation = 2000
        self.assertEqual(self.call("observe")["directories"], [])
        self.assertEqual(self.call("observe")["dormant"], [])


class Readiness(PluginTest):
    def test_notify_deadline(self):
        ready = {"kind": "notify", "startupSeconds": 0.6, "watchdogSeconds": None}
        self.call("apply", self.spec("ann", *bot("hang"), readiness=ready))
        seen = self.until_observed("ann", lambda seen: seen["restarts"] >= 1)
        self.assertFalse(seen["lastExit"]["expected"])
        seen = self.until_state("ann", "backoff")
        self.assertIn("not ready 0.6 s after its start", seen["reason"])

    def test_a_slow_start_within_the_deadline_is_fine(self):
        ready = {"kind": "notify", "startupSeconds": 20, "watchdogSeconds": None}
        self.call("apply", self.spec("ann", *bot("server"), "--start-after", "1", readiness=ready))
        self.assertEqual(self.observe("ann")["state"], "starting")
        seen = self.until_state("ann", "running")
        self.assertGreater(seen["readyAt"] - seen["startedAt"], 1)

    def test_listen_is_ready_within_a_quarter_second_of_listening(self):
        ready = {"kind": "listen", "startupSeconds": 20, "watchdogSeconds": None}
        self.call("apply", self.spec("ann", *bot("server"), "--quiet", readiness=ready))
        until(lambda: _answers(FIRST_PORT), "it listens")
        started = time.monotonic()
        seen = self.until_state("ann", "running")
        self.assertLess(time.monotonic() - started, 0.5)
        self.assertEqual(seen["listener"], "self")

    def test_another_on_the_port_does_not_make_it_ready(self):
        self.call("apply", self.spec("bob", *bot("thief"), "--steal", str(FIRST_PORT), slot=1))
        until(lambda: "have" in self.output("bob"), "the port is stolen")
        ready = {"kind": "listen", "startupSeconds": 2, "watchdogSeconds": None}
        self.call("apply", self.spec("ann", *bot("thief"), "--steal", str(FIRST_PORT), readiness=ready))
        self.assertEqual(self.call("listener", {"bot": "ann"})["listener"], "other")
        self.assertEqual(self.call("listener", {"bot": "bob"})["listener"], "none")
        self.until_observed("ann", lambda seen: seen["listener"] == "other")
        self.assertEqual(self.observe("ann")["state"], "starting")
        self.until_observed("ann", lambda seen: seen["restarts"] >= 1)

    def test_silence_past_the_watchdog_is_a_failure(self):
        ready = {"kind": "notify", "startupSeconds": 20, "watchdogSeconds": 0.8}
        self.call("apply", self.spec("ann", *bot("server"), "--freeze-after", "1", readiness=ready))
        first = self.until_state("ann", "running")
        seen = self.until_observed("ann", lambda seen: seen["restarts"] == 1)
        self.assertGreater(seen["lastExit"]["at"] - first["readyAt"], 1.5)
        self.assertFalse(seen["lastExit"]["expected"])

    def test_what_is_not_heard_while_supervisord_is_held_is_no_silence(self):
        ready = {"kind": "notify", "startupSeconds": 2, "watchdogSeconds": 1}
        self.call("apply", self.spec("ann", *bot("server"), readiness=ready))
        self.call("apply", self.spec("bob", *bot("server"), "--start-after", "2.5", slot=1, readiness={**ready, "startupSeconds": 3}))
        before = self.until_state("ann", "running")
        kill(self.supervisord.process.pid, signal.SIGSTOP)
        time.sleep(4)
        kill(self.supervisord.process.pid, signal.SIGCONT)
        self.until_state("bob", "running")
        time.sleep(1.5)
        for name in ("ann", "bob"):
            self.assertEqual((self.observe(name)["state"], self.observe(name)["restarts"]), ("running", 0))
        self.assertEqual(self.observe("ann")["pid"], before["pid"])
        kill(before["pid"], signal.SIGSTOP)
        self.until_observed("ann", lambda seen: seen["restarts"] == 1)

    def test_messages_of_others_do_not_count(self):
        ready = {"kind": "notify", "startupSeconds": 20, "watchdogSeconds": None}
        self.call("apply", self.spec("ann", *bot("hang"), readiness=ready))
        path = self.supervisord.path("run", "notify", "0", "notify.sock")
        script = f"import socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1\\nSTATUS=ha', {path!r})"
        self.call("apply", self.spec("bob", bot("hang")[0], "-c", script + "; import time; time.sleep(9)", slot=1))
        time.sleep(0.7)
        self.assertEqual((self.observe("ann")["state"], self.observe("ann")["status"]), ("starting", ""))

    def test_reloading_stays_running(self):
        script = (
            "import os, socket, time\n"
            "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
            "for m in ('READY=1', 'RELOADING=1', 'STATUS=reloaded'): s.sendto(m.encode(), os.environ['NOTIFY_SOCKET'])\n"
            "time.sleep(99)\n"
        )
        ready = {"kind": "notify", "startupSeconds": 20, "watchdogSeconds": None}
        self.call("apply", self.spec("ann", bot("hang")[0], "-c", script, readiness=ready))
        seen = self.until_observed("ann", lambda seen: seen["status"] == "reloaded")
        self.assertEqual(seen["state"], "running")


def _answers(port):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=1).close()
        return True
    except OSError:
        return False


if __name__ == "__main__":
    unittest.main()
