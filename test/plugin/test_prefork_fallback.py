"""A bot that cannot be forked is executed, and says why."""

import os
import sys
import tempfile
import unittest

from harness import until
from prefork import EXECUTED, FORKED, PreforkTest, prefork, warmup

BROKEN = "raise ValueError('broken on purpose')\n"
# What a preload may leave behind, and what is said of it.
LEFT = {
    "a thread": ("import threading, time", "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()", "2 threads after the preload"),
    "a child": ("import subprocess", "global child; child = subprocess.Popen(['sleep', '600'])", "the preload left child processes: "),
    "a socket": ("import socket", "global sock; sock = socket.socket()", "the preload left open: socket:["),
    "a file": ("import os", "global file; file = open(os.devnull)", "the preload left open: /dev/null"),
    "a temporary file": ("import tempfile", "global file; file = tempfile.TemporaryFile()", "(deleted)"),
    "an event loop": ("import asyncio", "global loop; loop = asyncio.new_event_loop()", "anon_inode:[eventpoll]"),
    "an executor": ("import concurrent.futures as futures", "global pool; pool = futures.ThreadPoolExecutor(1); pool.submit(int).result()", "threads after the preload"),
}

AT_START = {"PYTHONUTF8": "1", "PYTHONHASHSEED": "7", "LD_BIND_NOW": "1", "LC_ALL": "C", "LANG": "C", "MALLOC_ARENA_MAX": "2"}


class FallbackTest(PreforkTest):
    def assertExecuted(self, *cases):
        """Each case: the reason, and what of its spec is the reason."""
        for slot, (_, changes) in enumerate(cases):
            self.bot(f"bot{slot}", "serve", slot=slot, **changes)
        for slot, (reason, _) in enumerate(cases):
            with self.subTest(reason):
                seen = self.until_state(f"bot{slot}", "running", 30)
                self.assertEqual(seen["spawn"]["kind"], "exec")
                self.assertIn(reason, seen["spawn"]["reason"])

    def test_it_serves_all_the_same_and_nothing_of_a_zygote_is_in_it(self):
        seen, facts = self.serving("ann", prefork=warmup("1 / 0")), self.facts()
        self.assertEqual((facts["loadedBy"], facts["parent"]), (seen["pid"], self.supervisord.process.pid))

    def test_what_the_preload_leaves(self):
        self.assertExecuted(*((reason, {"prefork": warmup(*lines)}) for *lines, reason in LEFT.values()))

    def test_a_child_that_the_preload_leaves_ends_with_the_zygote(self):
        path = os.path.join(self.folder, "child")
        child = f"open({path!r}, 'w').write(str(subprocess.Popen(['sleep', '600']).pid))"
        self.assertExecuted(("the preload left child processes: ", {"prefork": warmup("import subprocess", child)}))
        with open(path) as file:
            self.until_gone(int(file.read()))

    def test_an_entry_that_is_not_there(self):
        self.assertExecuted(
            ("nothing.there:main cannot be imported: ModuleNotFoundError", {"prefork": prefork(entry="nothing.there:main")}),
            ("app:nothing cannot be imported: AttributeError", {"prefork": prefork(entry="app:nothing")}),
            ("app:LOADED_BY is not a function", {"prefork": prefork(entry="app:LOADED_BY")}),
        )

    def test_an_entry_that_cannot_be_imported(self):
        for name, source in (("broken", BROKEN), ("leaving", "raise SystemExit('left')\n")):
            with open(os.path.join(self.folder, f"{name}.py"), "w") as file:
                file.write(source)
        self.assertExecuted(
            ("broken:main cannot be imported: ValueError: broken on purpose", {"prefork": prefork(entry="broken:main")}),
            ("leaving:main cannot be imported: SystemExit: left", {"prefork": prefork(entry="leaving:main")}),
        )

    def test_a_preload_that_ends_the_zygote(self):
        self.assertExecuted(
            ("exited with code 3", {"prefork": warmup("import os", "os._exit(3)")}),
            ("killed by SIGSEGV", {"prefork": warmup("import os", "os.kill(os.getpid(), 11)")}),
        )

    def test_a_warmup_that_fails(self):
        self.assertExecuted(
            ("warmup() failed: ZeroDivisionError: division by zero", {"prefork": warmup("1 / 0")}),
            ("warmup() failed: SyntaxError", {"prefork": prefork(warmup="def warmup(:")}),
            ("warmup() failed: AttributeError", {"prefork": prefork(warmup="x = 1")}),
        )

    def test_the_traceback_is_in_the_zygotes_log(self):
        self.serving("ann", prefork=warmup("print('told by the warmup')", "1 / 0"))
        zygote = until(lambda: (found := self.zygotes()[0])["state"] == "failed" and found, "it has failed and is not tried again yet")
        self.assertIsNone(zygote["pid"])
        with open(self.supervisord.path("logs", f".zygote-{zygote['key']}.log")) as file:
            log = file.read()
        self.assertIn("told by the warmup", log)
        self.assertIn('File "warmup.py", line 3', log)

    def test_another_python(self):
        folder = tempfile.mkdtemp(dir=self.folder)
        os.chmod(folder, 0o755)
        other = os.path.join(folder, "python3")
        os.symlink(sys.executable, other)
        self.assertExecuted(
            (f"runs under {sys.executable}, the zygote would under {other}", {"prefork": prefork(python=other)}),
            ("python9.99 is not found in PATH", {"prefork": prefork(python="python9.99")}),
        )

    def test_a_command_that_is_no_script(self):
        self.assertExecuted(("is no Python script", {"command": [sys.executable, "-c", "import time; time.sleep(600)"]}))

    def test_a_command_beside_the_bot(self):
        self.bot("bot0", "serve", run=False)
        os.symlink(self.script, self.supervisord.path("bots", "bot0", "here"))
        self.assertExecuted(("./here is in the bot's own directory", {"command": ["./here"]}))

    def test_variables_that_count_only_at_the_start(self):
        given = prefork(env={"NUMBER": "1", "PYTHONUTF8": "1"})
        self.assertExecuted(
            *((f"its variable {name} works only at the start of Python", {"env": {name: value}}) for name, value in AT_START.items()),
            ("its variable NUMBER works only", {"env": {"NUMBER": "2"}, "prefork": given}),
            ("its variable PYTHONUTF8 works only", {"env": {"PYTHONUTF8": "0"}, "prefork": given}),
        )
        self.assertEqual(self.serving("ann", env={"NUMBER": "1", "PYTHONUTF8": "1"}, prefork=given, slot=20)["spawn"], FORKED)

    def test_switched_off(self):
        self.assertExecuted(("switched off for this bot by BUNKHOUSE_PREFORK=off", {"env": {"BUNKHOUSE_PREFORK": "off"}}))
        self.assertEqual(self.serving("ann", slot=1, env={"BUNKHOUSE_PREFORK": "on"})["spawn"], FORKED)

    def test_a_template_without_it_needs_no_reason(self):
        self.assertEqual(self.serving("ann", prefork=None)["spawn"], EXECUTED)

    def test_a_stale_list_is_told_and_does_no_harm(self):
        preload = ["json", *(f"gone{number}" for number in range(7)), "app", "json.gone"]
        self.assertEqual(self.serving("ann", prefork=prefork(preload=preload))["spawn"], FORKED)
        note = next(note for note in self.zygote()["notes"] if "preload" in note)
        self.assertIn("8 of 10 modules of the preload list cannot be imported: gone0, gone1, gone2, gone3, gone4 and 3 more (ModuleNotFoundError:", note)
        self.assertIn("8 of 10 modules", self.supervisord.log())

    def test_what_warmup_says_is_told(self):
        self.assertEqual(self.serving("ann", prefork=warmup("return ['built 3 exchanges']"))["spawn"], FORKED)
        self.assertIn("warmup: built 3 exchanges", self.zygote()["notes"])

    def test_objects_that_are_touchy_about_being_looked_at(self):
        lines = ("class Touchy:", "    __class__ = property(lambda self: 1 / 0)", "    __slots__ = ('other',)", "global touchy", "touchy = Touchy()")
        self.assertEqual(self.serving("ann", prefork=warmup(*lines))["spawn"], FORKED)


if __name__ == "__main__":
    unittest.main()
