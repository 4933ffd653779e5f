"""How forked bots end, and what supervisord and the plugin see and do of it: the same as of executed ones."""

import os
import signal
import unittest

from harness import is_alive, kill, until
from prefork import EXECUTED, FORKED, PREFORK, PreforkTest

ONCE = {"minSeconds": 600, "maxSeconds": 600, "healthySeconds": 60}


class ExitsTest(PreforkTest):
    def ended(self, name, *arguments, prefork=PREFORK, **changes):
        """({"code", "signal"}, output) of a bot that ended by itself."""
        self.bot(name, *arguments, prefork=prefork, backoff=ONCE, **changes)
        seen = self.until_state(name, "backoff", 30)
        return {part: seen["lastExit"][part] for part in ("code", "signal")}, self.output(name)

    def both(self, *arguments):
        """Of a forked bot, when an executed one ended the same; outputs may differ in tracebacks."""
        forked = self.ended("ann", *arguments)
        self.stop("ann")
        executed = self.ended("ann", *arguments, prefork=None)
        self.stop("ann")
        self.assertEqual(forked[0], executed[0])
        return (*forked, executed[1])

    def test_what_main_returns_is_the_exit_code(self):
        for value, code in ((0, 0), (3, 3), (-1, 255), (256, 0)):
            exit_, output, executed = self.both("return", str(value))
            self.assertEqual((exit_, output), ({"code": code, "signal": None}, executed))
        self.assertEqual(output, "atexit ran\n")

    def test_a_text_is_printed(self):
        exit_, output, executed = self.both("exit", "no luck")
        self.assertEqual((exit_["code"], output, executed), (1, "no luck\natexit ran\n", output))

    def test_what_is_not_flushed_is_written_at_the_end(self):
        exit_, output, executed = self.both("late")
        self.assertEqual((exit_["code"], output, executed), (5, "said last, and not flushed by handatexit ran\n", output))

    def test_a_thread_is_waited_for(self):
        exit_, output, executed = self.both("thread")
        self.assertEqual((exit_["code"], output, executed), (4, "the thread was waited for\natexit ran\n", output))

    def test_a_traceback_shows_the_program_alone(self):
        exit_, output, executed = self.both("raise")
        self.assertEqual(exit_["code"], 1)
        self.assertEqual(output.splitlines()[-2:], ["RuntimeError: on purpose", "atexit ran"])
        self.assertNotIn("bunkhouse_plugin", output)
        own = executed.replace(executed[executed.index(f'  File "{self.script}"') : executed.index(f'  File "{self.folder}/app.py"')], "")
        self.assertEqual(output, own)

    def test_abort_and_interrupt_are_signals(self):
        self.assertEqual(self.both("abort")[0], {"code": None, "signal": "SIGABRT"})
        exit_, output, executed = self.both("interrupt")
        self.assertEqual(exit_, {"code": None, "signal": "SIGINT"})
        for text in (output, executed):
            self.assertEqual(text.splitlines()[-2:], ["KeyboardInterrupt", "atexit ran"])

    def test_what_goes_wrong_before_its_program_is_in_its_log(self):
        if not self.isolated:
            self.skipTest("takes users for slots")
        folder = self.supervisord.path("bots", "ann")
        for prefork, spawn in ((PREFORK, FORKED), (None, EXECUTED)):
            seen = self.serving("ann", prefork=prefork, backoff={**ONCE, "minSeconds": 0})
            owner = os.stat(folder).st_uid
            os.chown(folder, 0, 0)
            kill(seen["pid"])
            seen = self.until_observed("ann", lambda seen: seen["lastExit"] and seen["lastExit"]["code"] == 127)
            os.chown(folder, owner, owner)
            self.assertEqual(self.until_state("ann", "running")["spawn"], spawn)
            self.assertIn(f"bunkhouse: cannot start {self.script}: [Errno 13] Permission denied", self.output("ann"))
            self.stop("ann")

    def test_stops_by_its_signal(self):
        for name in ("SIGTERM", "SIGKILL", "SIGINT"):
            self.serving("ann", stop={"signal": name, "graceSeconds": 5})
            self.apply(self.spec("ann", self.script, "serve"), prefork=PREFORK, run=False, stop={"signal": name, "graceSeconds": 5})
            seen = self.until_state("ann", "stopped")
            self.assertEqual((seen["lastExit"]["signal"], seen["lastExit"]["expected"]), (name, True))

    def test_stops_with_all_its_group_when_it_is_deaf(self):
        self.bot("ann", "family", stop={"signal": "SIGTERM", "graceSeconds": 0.3})
        child = int(until(lambda: self.output("ann"), "its child").split()[1])
        pid = self.observe("ann")["pid"]
        self.assertEqual(os.getpgid(child), pid)
        self.apply(self.spec("ann", self.script, "family"), prefork=PREFORK, run=False, stop={"signal": "SIGTERM", "graceSeconds": 0.3})
        self.assertEqual(self.until_state("ann", "stopped")["lastExit"]["signal"], "SIGKILL")
        self.assertFalse(is_alive(pid) or is_alive(child))

    def test_is_started_again_whatever_it_died_of(self):
        first = self.serving("ann")
        kill(first["pid"])
        second = self.until_observed("ann", lambda seen: seen["state"] == "running" and seen["pid"] != first["pid"])
        self.assertEqual((second["restarts"], second["spawn"], second["lastExit"]["signal"]), (1, FORKED, "SIGKILL"))
        self.assertEqual(self.output("ann"), "serving serve\n" * 2)
        self.apply(self.spec("ann", self.script, "serve"), prefork=PREFORK, restartGeneration=self.generation + 1)
        third = self.until_observed("ann", lambda seen: seen["pid"] not in (None, first["pid"], second["pid"]))
        self.assertEqual((third["restarts"], third["spawn"]), (1, FORKED))

    def test_one_without_prefork_says_nothing_of_why(self):
        self.assertEqual(self.serving("ann", prefork=None)["spawn"], EXECUTED)
        self.assertEqual(self.zygotes(), [])


class LastTest(PreforkTest):
    def test_supervisord_takes_zygote_and_bots_along_when_it_is_killed(self):
        bots = [self.serving(f"bot{slot}", slot=slot)["pid"] for slot in range(3)]
        zygote = self.zygote()["pid"]
        self.assertTrue(all(map(is_alive, [*bots, zygote])))
        self.supervisord.kill()
        for pid in [*bots, zygote]:
            self.until_gone(pid)

    def test_supervisord_that_ends_takes_them_along_in_good_order(self):
        if self.supervisord.process.poll() is not None:
            self.supervisord.start()
        bot, zygote = self.serving("ann")["pid"], self.zygote()["pid"]
        self.supervisord.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.supervisord.process.wait(20), 0)
        self.until_gone(bot)
        self.until_gone(zygote)


if __name__ == "__main__":
    unittest.main()
