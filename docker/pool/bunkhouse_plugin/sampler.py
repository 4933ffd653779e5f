"""Looks at the bots in the background: memory, CPU, open files, and who listens on their ports.

Reading the memory of one large process takes milliseconds, so each tick looks at one process and the ticks are spread.
"""

import os
import time
from dataclasses import replace

from . import procfs
from .ports import look
from .users import acting_as

ROUND_SECONDS = 5.0
SHORTEST_TICK_SECONDS = 0.1
PORTS_SECONDS = 1.0
PORTS_WHILE_STARTING_SECONDS = 0.1


class Sampler:
    def __init__(self, container):
        self._container = container
        self.overhead = None
        self._round = iter(())
        self._steps = self._last_steps = 1
        self._tick()
        self._look_at_ports()

    def hurry(self):
        """A bot that becomes ready by its port was started."""
        self._ports_timer.cancel()
        self._look_at_ports()

    def look_now(self, bot, done):
        """Out of turn; calls `done` at the end. Still one process in each turn of the loop."""
        steps = self._look_at(bot, bot.pid)

        def step():
            more = None
            try:
                more = next(steps, None)
            finally:
                done() if more is None else self._container.loop.soon(step)

        step()

    def _tick(self):
        loop = self._container.loop
        processes = max(1, len(self._container.bots), self._last_steps)
        loop.at(time.monotonic() + max(SHORTEST_TICK_SECONDS, ROUND_SECONDS / processes), self._tick)
        self._steps += 1
        if next(self._round, None) is None:
            self._round = self._look_at_all()
            self._last_steps, self._steps = self._steps, 0

    def _look_at_all(self):
        """One round, a step for each process."""
        self.overhead = procfs.memory(os.getpid())
        yield True
        for zygote in self._container.zygotes.alive():
            zygote.memory = procfs.memory(zygote.pid)
            yield True
        for process in self._container.processes():
            if process.pid:
                yield from self._look_at(process, process.pid)

    def _look_at(self, bot, leader):
        uid = bot.place.uid
        total = {"memory": None, "cpuSeconds": None, "openFiles": None}
        for pid in procfs.tree(leader):
            with acting_as(uid):
                memory, files = procfs.memory(pid), procfs.open_files(pid)
            stat = procfs.stat(pid)
            total["memory"] = _add_memory(total["memory"], memory)
            total["openFiles"] = _add(total["openFiles"], files)
            total["cpuSeconds"] = _add(total["cpuSeconds"], stat and stat.cpu_seconds)
            yield True
        if bot.pid == leader:
            bot.allowance.measured(replace(bot.allowance.used, sample=total))

    def _look_at_ports(self):
        bots = list(self._container.bots.values())
        for bot, verdict in look(bots) if bots else ():
            bot.listens(verdict)
        pause = PORTS_WHILE_STARTING_SECONDS if any(bot.waits_for_port() for bot in bots) else PORTS_SECONDS
        self._ports_timer = self._container.loop.at(time.monotonic() + pause, self._look_at_ports)


def _add(total, more):
    return total if more is None else (total or 0) + more


def _add_memory(total, more):
    if more is None or total is None:
        return more or total
    return {name: total[name] + more[name] for name in total}
