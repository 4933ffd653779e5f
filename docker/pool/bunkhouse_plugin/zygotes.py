"""The zygotes of a container: made when a bot first wants one, kept alive, made anew when the app changes, ended when unwanted."""

import os
import random
import time
from contextlib import suppress
from dataclasses import dataclass

from . import backoff
from .recipe import Unfit, recipe_of
from .spawn import Execute, Fork, Wait
from .zygote_process import ZygoteProcess

HEALTHY_SECONDS = 60


@dataclass(frozen=True)
class Rule:
    """Tried again for ever, as bots are."""

    min_seconds: float = 1
    max_seconds: float = 300


class Zygotes:
    def __init__(self, layout, options, loop, bots):
        """`bots()`: all BotProcesses of the container, told by a step whenever a zygote changes."""
        self._layout, self._options, self._loop, self._bots = layout, options, loop, bots
        self._zygotes = {}
        self._asked = {}  # bot -> key of the zygote it asked for last

    def way(self, spec, env):
        """How a bot is to be started now: Wait, Fork or Execute."""
        if spec.prefork is None:
            return Execute("")
        try:
            recipe = recipe_of(spec.prefork, spec.command, env, os.environ.get("PATH", os.defpath), self._layout.bots)
        except Unfit as unfit:
            self._note(spec.bot, None)
            return Execute(str(unfit))
        self._note(spec.bot, recipe.key)
        if recipe.key not in self._zygotes:
            self._zygotes[recipe.key] = Zygote(recipe, self._start, self._changed, self._loop)
        return self._zygotes[recipe.key].way()

    def retire(self):
        """Ends those that no bot wants any more, by its last start and its present spec."""
        preforks = {bot.bot: bot.spec.prefork and bot.spec.prefork.key for bot in self._bots()}
        self._asked = {bot: key for bot, key in self._asked.items() if bot in preforks}
        wanted = {(key, preforks[bot]) for bot, key in self._asked.items()}
        for key, zygote in list(self._zygotes.items()):
            if (key, zygote.prefork.key) not in wanted:
                del self._zygotes[key]
                zygote.close()
                with suppress(FileNotFoundError):
                    os.unlink(self._log(key))

    def _note(self, bot, key):
        if self._asked.get(bot) != key:
            self._asked[bot] = key
            self.retire()

    def observe(self):
        return [zygote.observe() for zygote in self._zygotes.values()]

    def alive(self):
        """Those with a process: each has a `pid`, and a `memory` to set."""
        return [zygote for zygote in self._zygotes.values() if zygote.pid]

    def _start(self, recipe, changed):
        return ZygoteProcess(recipe, self._layout.zygote_home, self._log(recipe.key), self._options, self._loop, changed)

    def _log(self, key):
        return self._layout.log(f".zygote-{key}")

    def _changed(self):
        for bot in list(self._bots()):
            bot.step()


class Zygote:
    """Keeps one process for a recipe."""

    def __init__(self, recipe, start, changed, loop):
        self._recipe = recipe
        self._start_process, self._tell, self._loop = start, changed, loop
        self._process = None
        self._trouble = ""  # why the last one ended, until another is ready
        self._failures = 0
        self._ready_at = None
        self._starts = 0
        self._timer = None
        self._closed = False
        self.memory = None
        self._start()

    @property
    def prefork(self):
        return self._recipe.prefork

    @property
    def importing(self):
        """Worth waiting for: neither ready nor in trouble."""
        ready = self._process is not None and self._process.ready is not None
        return not (ready or self._trouble or self._closed)

    @property
    def pid(self):
        return self._process and self._process.pid

    def way(self):
        if self._process is not None and self._process.ready is not None:
            if _unchanged(self._process.ready["watched"]):
                return Fork(self._process)
            self._renew()
        if self._trouble:
            return Execute(f"the zygote is not there: {self._trouble}")
        return Wait(self)

    def observe(self):
        ready = (self._process and self._process.ready) or {}
        state = "failed" if self._process is None else "ready" if ready else "starting"
        return {
            "key": self._recipe.key,
            "state": state,
            "pid": self.pid,
            "reason": "" if ready else self._trouble,
            "python": ready.get("python", ""),
            "modules": ready.get("modules", 0),
            "immortal": ready.get("immortal", False),
            "merge": ready.get("merge", False),
            "notes": ready.get("notes", []),
            "starts": self._starts,
            "forks": self._process.forks if self._process else 0,
            "memory": self.memory,
        }

    def close(self):
        """For good."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._let_go()

    def _renew(self):
        """The app was changed: what is forked from now on must be the new one."""
        self._let_go()
        self._start()

    def _let_go(self):
        if self._process is not None:
            process, self._process = self._process, None
            process.end("not wanted any more")

    def _start(self):
        self._timer = None
        if not self._loop.may_fork():
            self._timer = self._loop.at(time.monotonic(), self._start)
            return
        self._starts += 1
        self.memory = None
        try:
            process = self._start_process(self._recipe, lambda: self._changed(process))
        except OSError as error:
            self._failed(f"cannot be started: {error}")
        else:
            self._process = process

    def _changed(self, process):
        if process is not self._process:
            return  # let go of before
        if process.ended is not None:
            self._process, self.memory = None, None
            self._failed(process.ended)
        else:
            self._trouble, self._ready_at = "", time.monotonic()
            for note in process.ready["notes"]:
                self._loop.logger.warn(f"bunkhouse: zygote {self._recipe.key}: {note}")
        self._tell()

    def _failed(self, reason):
        """One that was well for a while is started again at once."""
        self._trouble = reason
        was_well = self._ready_at is not None and time.monotonic() - self._ready_at >= HEALTHY_SECONDS
        self._failures = 0 if was_well else self._failures + 1
        self._ready_at = None
        wait = backoff.delay(Rule(), self._failures, random.random()) if self._failures else 0
        self._timer = self._loop.at(time.monotonic() + wait, self._start)
        self._loop.logger.warn(f"bunkhouse: zygote {self._recipe.key} ended: {reason}; again in {wait:.1f} s")


def _unchanged(watched):
    try:
        return all(os.stat(path).st_mtime_ns == stamp for path, stamp in watched)
    except OSError:
        return False
