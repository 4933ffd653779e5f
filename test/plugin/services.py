"""What the tests of shared services have in common: specs of a service, and ways to look at one."""

import json
import os
import sys

from harness import SERVICES, PluginTest, kill, until

NO_LIMITS = {"memoryBytes": None, "pssBytes": None, "diskBytes": None, "cpuWeight": 100, "openFiles": None, "processes": None, "nice": 0}


def program(name, *arguments):
    return [sys.executable, os.path.join(SERVICES, f"{name}.py"), *arguments]


def step(command, stdin="", seconds=10):
    return {"kind": "exec", "command": command, "stdin": stdin, "timeoutSeconds": seconds}


class ServicesTest(PluginTest):
    def tearDown(self):
        """Those of one test are not another's."""
        self._remove_all()
        until(lambda: not self.call("observe")["services"], "no service is left", 20, lambda: self.call("observe")["services"])

    def run_of(self, name):
        return self.supervisord.path("run", "services", name)

    def home_of(self, name):
        return self.supervisord.path("services", name)

    def socket(self, name="keeper"):
        return os.path.join(self.run_of(name), "keeper.sock")

    def service(self, name="keeper", *options, **changes):
        """A ServiceSpec of the keeper."""
        readiness = {"kind": "socket", "path": self.socket(name), "startupSeconds": 20, "watchdogSeconds": None}
        return {
            "name": name, "command": program("keeper", "--dir", self.home_of(name), "--socket", self.socket(name), *options),
            "env": {}, "files": [], "readiness": readiness,
            "stop": {"signal": "SIGTERM", "graceSeconds": 10},
            "backoff": {"minSeconds": 0.2, "maxSeconds": 1, "healthySeconds": 60},
            "limits": NO_LIMITS, **changes,
        }

    def use(self, service, **steps):
        return {"service": service, "provision": [], "deprovision": [], "archive": [], **steps}

    def tenant(self, bot, service=None, password="open-sesame", slot=0, **changes):
        """The spec of a bot with a room in the keeper."""
        service = service or self.service()
        ask = program("ask", self.socket(service["name"]))
        use = self.use(
            service,
            provision=[step(ask, f"create {bot} {password}")],
            deprovision=[step(ask, f"drop {bot}")],
            archive=[step([*program("dump", self.socket(service["name"])), bot], password)],
        )
        command = program("tenant", self.socket(service["name"]), bot, password)
        return self.spec(bot, *command, **{"slot": slot, "services": [use], "secrets": [password], **changes})

    def seen(self, name="keeper"):
        return next((seen for seen in self.call("observe")["services"] if seen["name"] == name), None)

    def until_service(self, check, name="keeper", seconds=15):
        return until(lambda: (seen := self.seen(name)) and check(seen) and seen, f"service {name} as expected", seconds, lambda: self.seen(name))

    def until_ready(self, name="keeper"):
        return self.until_service(lambda seen: seen["state"] == "running", name)

    def service_output(self, name="keeper"):
        return self.call("service_log", {"service": name, "offset": 0, "length": 65536})["data"]

    def rooms(self, name="keeper"):
        try:
            with open(os.path.join(self.home_of(name), "rooms.json")) as file:
                return json.load(file)
        except FileNotFoundError:
            return {}

    def kill_service(self, name="keeper"):
        kill(self.seen(name)["pid"])
