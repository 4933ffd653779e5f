"""A new app or template gets a new zygote, running bots do not notice, and an unwanted zygote ends."""

import os
import time
import unittest

from harness import kill, until
from prefork import FORKED, PREFORK, PreforkTest, prefork


def touch(path):
    """As an upgrade would leave it."""
    os.utime(path, ns=(time.time_ns(), time.time_ns() + 1))


class RenewalTest(PreforkTest):
    def assertRenewed(self, change, **changes):
        """After the change a new zygote serves starts, and the running bot is the old one still."""
        running = self.serving("bot0", **changes)
        old = self.zygote()
        change()
        self.assertEqual(self.serving("bot1", slot=1, **changes)["spawn"], FORKED)
        new = self.zygote()
        self.assertEqual((new["key"], new["starts"], new["forks"]), (old["key"], 2, 1))
        self.until_gone(old["pid"])
        seen = self.observe("bot0")
        self.assertEqual((seen["pid"], seen["restarts"], seen["state"]), (running["pid"], 0, "running"))
        self.assertEqual((self.facts()["loadedBy"], self.facts(1)["loadedBy"]), (old["pid"], new["pid"]))
        kill(running["pid"])
        again = self.until_observed("bot0", lambda seen: seen["state"] == "running" and seen["pid"] != running["pid"])
        self.assertEqual((again["spawn"], self.facts()["loadedBy"]), (FORKED, new["pid"]))

    def test_a_new_script(self):
        self.assertRenewed(lambda: touch(self.script))

    def test_a_package_comes(self):
        folder = os.path.join(self.folder, "site")
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o755)

        def install():
            with open(os.path.join(folder, "package.py"), "w") as file:
                file.write("version = 1\n")

        path = {"PYTHONPATH": folder}
        self.assertRenewed(install, prefork=prefork(env=path), env=path)

    def test_a_new_code_is_what_runs(self):
        path = os.path.join(self.folder, "app.py")
        with open(path) as file:
            source = file.read()
        self.addCleanup(self.put, path, source)
        self.serving("bot0")
        self.put(path, source.replace('print("serving"', 'print("newly serving"'))
        touch(self.script)
        self.serving("bot1", slot=1)
        self.assertEqual((self.output("bot0"), self.output("bot1")), ("serving serve\n", "newly serving serve\n"))

    def put(self, path, text):
        with open(path, "w") as file:
            file.write(text)

    def test_an_app_that_is_away_for_a_while(self):
        self.serving("bot0")
        away = f"{self.script}.away"
        os.rename(self.script, away)
        self.bot("bot1", "serve", slot=1)
        seen = self.until_state("bot1", "backoff")
        self.assertEqual(seen["lastExit"]["code"], 127)
        os.rename(away, self.script)
        self.assertEqual(self.until_state("bot1", "running")["spawn"], FORKED)
        self.assertEqual(self.observe("bot0")["restarts"], 0)

    def test_another_template(self):
        running = self.serving("bot0")
        old = self.zygote()
        other = prefork(preload=["json", "decimal"])
        spec = self.bot("bot0", "serve", prefork=other)
        self.until_gone(old["pid"])
        self.assertEqual((self.zygotes(), self.observe("bot0")["pid"]), ([], running["pid"]))
        self.apply(spec, restartGeneration=self.generation + 1)
        self.until_observed("bot0", lambda seen: seen["state"] == "running" and seen["pid"] != running["pid"] and seen["spawn"] == FORKED)
        self.assertNotEqual(self.zygote()["key"], old["key"])

    def test_two_templates_at_once(self):
        """Bots of each come from their own, which ends with the last of them."""
        self.serving("bot0")
        first = self.zygote()
        self.serving("bot1", slot=1, prefork=prefork(immortal=False))
        self.serving("bot2", slot=2)
        self.assertEqual({zygote["key"]: zygote["forks"] for zygote in self.zygotes()}.pop(first["key"]), 2)
        self.assertEqual(len(self.zygotes()), 2)
        self.stop("bot1")
        self.assertEqual(self.zygote()["pid"], first["pid"])
        self.stop("bot0")
        self.assertEqual(self.zygote()["pid"], first["pid"])
        log = self.supervisord.path("logs", f".zygote-{first['key']}.log")
        self.assertTrue(os.path.exists(log))
        self.stop("bot2")
        self.assertEqual((self.zygotes(), os.path.exists(log)), ([], False))
        self.until_gone(first["pid"])

    def test_a_template_with_another_path_leaves_none_behind(self):
        folder = os.path.dirname(self.script)
        for path in (f"{folder}:/usr/bin:/bin", f"{folder}:/bin:/usr/bin", f"/bin:{folder}:/usr/bin"):
            changes = {"command": ["app"], "env": {"PATH": path}, "prefork": prefork(env={"PATH": path})}
            seen = self.serving("ann", restartGeneration=self.generation + 1, **changes)
            until(lambda: self.observe("ann")["spawn"] == FORKED and self.facts()["env"]["PATH"] == path, "it has the new path")
            self.assertEqual(len(self.zygotes()), 1, seen)
        changes["env"] = {"PATH": path, "BUNKHOUSE_PREFORK": "off"}
        self.serving("ann", restartGeneration=self.generation + 1, **changes)
        self.until_observed("ann", lambda seen: seen["spawn"] and seen["spawn"]["kind"] == "exec")
        self.assertEqual(self.zygotes(), [])

    def test_a_stopped_bot_keeps_its_zygote_warm(self):
        self.serving("ann")
        zygote = self.zygote()["pid"]
        spec = self.bot("ann", "serve", run=False)
        self.until_state("ann", "stopped")
        self.assertEqual(self.zygote()["pid"], zygote)
        self.apply(spec, run=True, prefork=PREFORK)
        self.until_state("ann", "running")
        self.assertEqual(self.zygote()["pid"], zygote)


if __name__ == "__main__":
    unittest.main()
