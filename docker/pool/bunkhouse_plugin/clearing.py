"""Ending what is left of a bot's last run, before the next one may begin."""

import time

from . import leftovers
from .faults import Fault

RETRY_SECONDS = 1
PATIENCE_SECONDS = 15


class Clearing:
    def __init__(self, process, container):
        self._process, self._container = process, container
        self.needed = False  # at first nothing is left: the apply that brings a bot has seen to it
        self.under_way = False
        self.due = 0.0  # when it may be tried again

    def begin(self, now):
        """In a helper; steps the process when it is over."""
        if now < self.due:
            return
        self.under_way = True
        bot, marks = self._process.bot, self._process.marks()
        work = self._container.quick.run(f"end what is left of {bot}", lambda: leftovers.end(marks), PATIENCE_SECONDS)
        work.then(self._over)

    def _over(self, outcome):
        self.under_way = False
        try:
            alive = outcome.result()
            self.needed = bool(alive)
            trouble = f"processes {alive} of its last run cannot be ended"
        except Fault as fault:
            trouble = fault.text
        if self.needed:
            self._process.reason = trouble
            self.due = time.monotonic() + RETRY_SECONDS
        self._process.step()
