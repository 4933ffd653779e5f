"""A program to fork and to execute, and what tests of prefork ask of it. Not a test itself."""

import json
import os
import shutil
import socket
import sys
import tempfile

from harness import FIRST_PORT, ROOT, PluginTest, is_alive, until

FIXTURES = os.path.join(ROOT, "test", "fixtures", "prefork")
LISTEN = {"kind": "listen", "startupSeconds": 30, "watchdogSeconds": None}
PREFORK = {"entry": "app:main", "python": sys.executable, "preload": ["json", "random"], "warmup": None, "env": {}, "merge": False, "immortal": True}
FORKED = {"kind": "prefork", "reason": ""}
EXECUTED = {"kind": "exec", "reason": ""}  # and nobody wanted it otherwise
PYTHON = sys.version_info[:2]


def prefork(**changes):
    return {**PREFORK, **changes}


def warmup(*lines):
    """Prefork with a warmup() of these lines."""
    return prefork(warmup="".join(["def warmup():\n", *(f"    {line}\n" for line in lines)]))


class PreforkTest(PluginTest):
    """With a script in a folder of its own, which may be changed like an installed app."""

    isolated = os.geteuid() == 0

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.mkdtemp(prefix="bunkhouse-app-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        os.chmod(cls.folder, 0o755)
        for name in os.listdir(FIXTURES):
            if name.endswith(".py"):
                shutil.copy(os.path.join(FIXTURES, name), cls.folder)
        cls.script = cls.put_script("app")

    @classmethod
    def put_script(cls, name, python=sys.executable):
        path = os.path.join(cls.folder, name)
        with open(path, "w") as file:
            file.write(f"#!{python}\nimport sys\nfrom app import main\nsys.exit(main())\n")
        os.chmod(path, 0o755)
        return path

    def bot(self, name, *arguments, command=None, env={}, **changes):
        """Applied; `env` beside its port."""
        spec = self.spec(name, *(command or [self.script]), *arguments, **{"prefork": PREFORK, **changes})
        spec["env"] |= env
        self.call("apply", spec)
        return spec

    def serving(self, name, **changes):
        """What is observed of a bot that answers its port."""
        self.bot(name, "serve", **{"readiness": LISTEN, **changes})
        return self.until_state(name, "running", 30)

    def facts(self, slot=0):
        """What a serving bot says of itself."""
        with socket.create_connection(("127.0.0.1", FIRST_PORT + slot), timeout=10) as connection:
            text = b"".join(iter(lambda: connection.recv(65536), b""))
        self.assertTrue(text, [self.output(seen["bot"])[-2000:] for seen in self.call("observe")["bots"] if seen["slot"] == slot])
        return json.loads(text)

    def zygotes(self):
        return self.call("observe")["zygotes"]

    def zygote(self):
        """The only one, when it is ready."""
        return until(lambda: (all_ := self.zygotes()) and len(all_) == 1 and all_[0]["state"] == "ready" and all_[0], "one zygote is ready", 30, self.zygotes)

    def until_gone(self, pid):
        until(lambda: not is_alive(pid), f"{pid} is gone")

    def stop(self, name):
        """Stopped and removed."""
        seen = self.observe(name)
        self.bot(name, "serve", prefork=None, slot=seen["slot"], run=False, stop={"signal": "SIGKILL", "graceSeconds": 0})
        self.until_state(name, "stopped")
        self.call("remove", {"bot": name, "generation": self.generation})
