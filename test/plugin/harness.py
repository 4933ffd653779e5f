"""A real supervisord with the plugin, in a temporary directory, for one test class; and a client for it."""

import base64
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import xmlrpc.client

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PLUGIN = os.path.join(ROOT, "docker", "pool")
BOTS = os.path.join(ROOT, "test", "fixtures", "bots")
SERVICES = os.path.join(ROOT, "test", "fixtures", "services")
UID_BASE = 200_000
RANGES, RANGE = 24, 40


def _reserve():
    """(First port of a range that is ours as long as the socket lives, the socket).

    Two runs at once must not meet on ports, nor on the uids that go by them: each would end all processes of its bots' uids.
    """
    for number in (n % RANGES for n in range(os.getpid(), os.getpid() + RANGES)):
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            lock.bind(f"\0bunkhouse-test-ports-{number}")
            return 21_000 + number * RANGE, lock
        except OSError:
            lock.close()
    raise RuntimeError(f"{RANGES} runs of these tests go on already")


FIRST_PORT, _LOCK = _reserve()

CONFIGURATION = """
[supervisord]
nodaemon=true
silent=true
directory={directory}
logfile={directory}/supervisord.log
pidfile={directory}/supervisord.pid
identifier=bunkhouse-test
minfds=256
minprocs=64
nocleanup=true

[unix_http_server]
file={directory}/supervisor.sock
chmod=0600

[rpcinterface:bunkhouse]
supervisor.rpcinterface_factory=bunkhouse_plugin:make_rpcinterface
directory={directory}
uid_base={uid_base}

[rpcinterface:probe]
supervisor.rpcinterface_factory=probe:make_rpcinterface
"""


class Fault(Exception):
    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


class Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Supervisord:
    """supervisord below a new temporary directory. `isolated`: a uid for each slot, which takes root. `group`: the cgroup it is put into.

    `user`: the uid it runs as, which takes root. `more`: sections that its configuration has besides.
    """

    def __init__(self, isolated=False, group=None, user=None, more=""):
        self.group, self.user, self.more = group, user, more
        self.directory = tempfile.mkdtemp(prefix="bunkhouse-")
        os.chmod(self.directory, 0o755)
        if user is not None:
            os.chown(self.directory, user, user)
        self.uid_base = UID_BASE if isolated else None
        self.process = None

    def start(self):
        config = os.path.join(self.directory, "supervisord.conf")
        with open(config, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(CONFIGURATION.format(directory=self.directory, uid_base=self.uid_base or "") + self.more)
            if self.user is not None:
                os.chown(config, self.user, self.user)
        modules = os.pathsep.join([PLUGIN, os.path.dirname(__file__), os.environ.get("PYTHONPATH", "")])
        env = {**os.environ, "PYTHONPATH": modules, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", config]
        with open(os.path.join(self.directory, "stderr"), "ab") as stderr:
            options = {"preexec_fn": self._enter_group} if self.group else {}
            if self.user is not None:
                options |= {"user": self.user, "group": self.user, "extra_groups": []}
            self.process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True, **options)
        until(lambda: self._answers() or self._give_up(), "supervisord answers", 15)
        return self

    def kill(self):
        """As a crash would end it."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def close(self):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def call(self, method, value=None, timeout=70, namespace="bunkhouse"):
        connection = Connection(f"{self.directory}/supervisor.sock", timeout)
        try:
            body = xmlrpc.client.dumps((json.dumps(value if value is not None else {}),), f"{namespace}.{method}")
            connection.request("POST", "/RPC2", body, {"Content-Type": "text/xml"})
            response = connection.getresponse()
            (answer,), _ = xmlrpc.client.loads(response.read())
            return json.loads(answer)
        except xmlrpc.client.Fault as fault:
            raise Fault(fault.faultCode, fault.faultString) from None
        finally:
            connection.close()

    def log(self):
        with open(os.path.join(self.directory, "supervisord.log")) as file:
            return file.read()

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def _enter_group(self):
        with open(os.path.join(self.group, "cgroup.procs"), "w") as procs:
            procs.write(str(os.getpid()))

    def _answers(self):
        try:
            return self.call("observe", timeout=2)
        except OSError:
            return None

    def _give_up(self):
        if self.process.poll() is not None:
            with open(os.path.join(self.directory, "stderr")) as file:
                raise AssertionError(f"supervisord ended with {self.process.returncode}: {file.read()}")
        return None


class PluginTest(unittest.TestCase):
    """One supervisord for the class. Each test uses bots of its own and leaves none behind."""

    isolated = False
    group = None
    user = None
    more = ""

    @classmethod
    def setUpClass(cls):
        if cls.isolated and os.geteuid() != 0:
            raise unittest.SkipTest("a uid for each slot takes root")
        cls.supervisord = Supervisord(isolated=cls.isolated, group=cls.group, user=cls.user, more=cls.more)
        cls.addClassCleanup(cls.supervisord.close)
        cls.addClassCleanup(cls._check_log)
        cls.supervisord.start()
        cls.generation = 0

    @classmethod
    def _check_log(cls):
        """Whatever was caught and logged is still a mistake."""
        if "Traceback" in cls.supervisord.log():
            raise AssertionError(cls.supervisord.log())

    def setUp(self):
        self.addCleanup(self._remove_all)

    def call(self, method, value=None, **options):
        return self.supervisord.call(method, value, **options)

    def spec(self, bot, *command, **changes):
        """A spec with a new generation; slot and port go by `slot`."""
        type(self).generation += 1
        slot = changes.get("slot", 0)
        return {
            "bot": bot, "generation": self.generation, "restartGeneration": 0, "slot": slot, "port": FIRST_PORT + slot,
            "host": "127.0.0.1", "run": True, "command": list(command), "env": {"PORT": str(FIRST_PORT + slot)},
            "directories": [], "files": [],
            "readiness": {"kind": "process", "startupSeconds": 20, "watchdogSeconds": None},
            "stop": {"signal": "SIGTERM", "graceSeconds": 5},
            "backoff": {"minSeconds": 0.2, "maxSeconds": 1, "healthySeconds": 60},
            "limits": {"memoryBytes": None, "pssBytes": None, "diskBytes": None, "cpuWeight": 100, "openFiles": None, "processes": None, "nice": 0},
            "prefork": None, "services": [], "secrets": [], "marks": {},
            **changes,
        }

    def apply(self, spec, **changes):
        """Applies it with changes and a new generation; returns the spec as it was applied."""
        type(self).generation += 1
        spec = {**spec, "generation": self.generation, **changes}
        self.call("apply", spec)
        return spec

    def observe(self, bot):
        return next((seen for seen in self.call("observe")["bots"] if seen["bot"] == bot), None)

    def until_state(self, bot, state, seconds=15):
        return until(lambda: (seen := self.observe(bot)) and seen["state"] == state and seen, f"{bot} is {state}", seconds, lambda: self.observe(bot))

    def until_observed(self, bot, check, seconds=15):
        return until(lambda: (seen := self.observe(bot)) and check(seen) and seen, f"{bot} as expected", seconds, lambda: self.observe(bot))

    def assertFault(self, code, method, value):
        with self.assertRaises(Fault) as caught:
            self.call(method, value)
        self.assertEqual(caught.exception.code, code, caught.exception.text)
        return caught.exception.text

    def output(self, bot):
        return self.call("log", {"bot": bot, "offset": 0, "length": 65536})["data"]

    def _remove_all(self):
        if self.supervisord.process.poll() is not None:
            return
        for seen in self.call("observe")["bots"]:
            type(self).generation += 1
            spec = self.spec(seen["bot"], "true", slot=seen["slot"], run=False, stop={"signal": "SIGKILL", "graceSeconds": 0})
            self.call("apply", spec)
        for seen in self.call("observe")["bots"]:
            self.until_state(seen["bot"], "stopped")
            self.call("remove", {"bot": seen["bot"], "generation": self.generation})


def bot(name):
    return [sys.executable, os.path.join(BOTS, f"{name}.py")]


def file(path, content, mode=0o600, when="always"):
    data = base64.b64encode(content.encode() if isinstance(content, str) else content).decode()
    return {"path": path, "mode": mode, "when": when, "data": data}


def until(check, what, seconds=15, state=lambda: ""):
    deadline = time.monotonic() + seconds
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what} {state()}")
        time.sleep(0.02)


def is_alive(pid):
    """Zombies count as dead."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def kill(pid, number=signal.SIGKILL):
    os.kill(pid, number)
