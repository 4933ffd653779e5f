"""The highest generation seen of each bot, and the processes that live: what must survive supervisord.

Kept for removed bots too, so that a late command of an earlier pass does not bring one back.
"""

import json
import time

from .faults import STALE_GENERATION, Fault
from .files import write_durably
from .promise import Promise

TOMBSTONES = 1000


class Fences:
    def __init__(self, path, helpers):
        self._path, self._helpers = path, helpers
        self._bots, self._services = _load(path)
        self._changed = False
        self._writing = False
        self._waiting = []

    def check(self, bot, generation):
        """Raises STALE_GENERATION for a command that a newer one has overtaken."""
        fence = self._bots.get(bot)
        if fence is not None and generation < fence["generation"]:
            raise Fault(STALE_GENERATION, f"generation {generation} of {bot} is older than {fence['generation']}, which was seen already")

    def check_alive(self, bot, generation):
        """As `check`; and a removed bot comes back only by a generation newer than its removal."""
        self.check(bot, generation)
        fence = self._bots.get(bot)
        if fence is not None and fence["removed"] and generation == fence["generation"]:
            raise Fault(STALE_GENERATION, f"{bot} was removed in generation {generation}: only a newer one brings it back")

    def raise_to(self, bot, generation, **facts):
        """Promise that the new generation is on the disk; `facts` (slot, port, removed) go with it."""
        self._put(bot, generation=generation, **facts)
        self._prune()
        return self._save()

    def note_process(self, bot, pid, start):
        """Remembers the bot's living process, None for none. Nobody waits for the disk."""
        self._put(bot, pid=pid, start=start)
        self._save()

    def note_service(self, name, uid, pid, start):
        """The same of a service's."""
        self._services[name] = {"uid": uid, "pid": pid, "start": start}
        self._changed = True
        self._save()

    def known_services(self):
        """{name: facts} of those that were started: uid, pid and start may be None."""
        return self._services

    def known(self):
        """{bot: facts} of everything remembered: slot, port, pid and start may be None."""
        return self._bots

    def _put(self, bot, **facts):
        before = self._bots.get(bot, {"generation": 0, "removed": False, "slot": None, "port": None, "pid": None, "start": None})
        after = {**before, **facts}
        if after != before:
            self._bots[bot] = {**after, "at": time.time()}
            self._changed = True

    def _prune(self):
        removed = sorted((fence["at"], bot) for bot, fence in self._bots.items() if fence["removed"])
        for _, bot in removed[:-TOMBSTONES]:
            del self._bots[bot]

    def _save(self):
        """All changes that come in while a helper writes go out together with the next one."""
        promise = Promise()
        if not self._changed and not self._writing:
            promise.resolve()
            return promise
        self._waiting.append(promise)
        if not self._writing:
            self._write()
        return promise

    def _write(self):
        waiting, self._waiting = self._waiting, []
        self._writing, self._changed = True, False
        text = json.dumps({"version": 1, "bots": self._bots, "services": self._services})
        write = self._helpers.run("save fences.json", lambda: write_durably(self._path, text), 30)
        write.then(lambda outcome: self._written(outcome, waiting))

    def _written(self, outcome, waiting):
        self._writing = False
        try:
            outcome.result()
        except Fault as fault:
            self._changed = True
            for promise in waiting:
                promise.reject(fault)
        else:
            for promise in waiting:
                promise.resolve()
        if self._waiting and not self._writing:
            self._write()


def _load(path):
    try:
        with open(path) as file:
            content = json.load(file)
        if content["version"] != 1:
            raise ValueError(f"{path} has version {content['version']}, this plugin knows 1: use the newer plugin")
        return content["bots"], content.get("services", {})
    except FileNotFoundError:
        return {}, {}
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged ({error}): move it away to start with no memory of earlier generations") from error
