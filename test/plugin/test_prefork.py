"""Bots forked from a zygote: like executed ones in everything but their memory."""

import json
import os
import shutil
import signal
import socket
import sys
import tempfile

from harness import FIRST_PORT, ROOT, UID_BASE, PluginTest, until

FIXTURES = os.path.join(ROOT, "test", "fixtures", "prefork")
LISTEN = {"kind": "listen", "startupSeconds": 20, "watchdogSeconds": None}
PREFORK = {"entry": "app:main", "python": sys.executable, "preload": ["json", "random"], "warmup": None, "env": {}, "merge": False, "immortal": True}


class PreforkTest(PluginTest):
    isolated = os.geteuid() == 0

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.mkdtemp(prefix="bunkhouse-app-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        os.chmod(cls.folder, 0o755)
        shutil.copy(os.path.join(FIXTURES, "app.py"), cls.folder)
        cls.script = os.path.join(cls.folder, "app")
        with open(cls.script, "w") as file:
            file.write(f"#!{sys.executable}\nimport sys\nfrom app import main\nsys.exit(main())\n")
        os.chmod(cls.script, 0o755)

    def bot(self, name, *arguments, prefork=PREFORK, **changes):
        spec = self.spec(name, self.script, *arguments, **{"prefork": prefork, **changes})
        self.call("apply", spec)
        return spec

    def serving(self, name, **changes):
        self.bot(name, "serve", readiness=LISTEN, **changes)
        return self.until_state(name, "running", 30)

    def facts(self, slot=0):
        with socket.create_connection(("127.0.0.1", FIRST_PORT + slot), timeout=5) as connection:
            return json.loads(b"".join(iter(lambda: connection.recv(65536), b"")))

    def test_is_forked(self):
        seen = self.serving("forked")
        self.assertEqual(seen["spawn"], {"kind": "prefork", "reason": ""})
        facts = self.facts()
        zygote, = self.call("observe")["zygotes"]
        self.assertEqual((facts["loadedBy"], zygote["state"], zygote["forks"]), (zygote["pid"], "ready", 1))
