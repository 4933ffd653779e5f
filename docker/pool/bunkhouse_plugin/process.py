"""One program under supervisord, a bot or a service: keeps its process the way its spec wants it.

supervisord reaps the process and reads its output; everything else is decided in `_step`, from nothing but the present
situation. It runs in every turn of the loop, so an event only has to wake the loop.
"""

import random
import signal
import time
from dataclasses import replace

from supervisor.states import ProcessStates, SupervisorStates

from . import backoff, children, procfs
from .allowance import Allowance
from .clearing import Clearing
from .exits import describe_exit
from .hearing import Hearing
from .life import Life
from .spawn import NotForked
from .spawning import Spawning
from .supervised import Supervised

KILL_AGAIN_SECONDS = 1


class KeptProcess(Supervised):
    def __init__(self, config, container):
        super().__init__(config, container)
        self.spec = None
        self.place = None
        self.life = None  # the present run, or the last one
        self.last_exit = None
        self.restarts = 0
        self.next_start_at = None
        self.allowance = Allowance(self, container)
        self._clearing = Clearing(self, container)
        self._spawning = Spawning(self, container)
        self._hearing = Hearing(self, container)
        self._start_from = 0.0
        self._failures = 0
        self._unasked = False  # the coming start is one that nobody asked for
        self._waits_for = ""  # what must be there before it can be started
        self._timer = None

    def accept(self, spec, place):
        """Takes a new spec. A running process stays; what must change is changed by the next step."""
        if self.state == ProcessStates.BACKOFF and spec.generation > self.spec.generation:
            self._start_from = 0.0
        self._spawning.forget()
        self.spec, self.place = spec, place
        self.allowance.changed()

    @property
    def user(self):
        """Its name for the program."""
        return self.bot

    @property
    def alive(self):
        """Also while its process is being made: until the zygote has answered, one may come yet."""
        return self.pid != 0 or self._spawning.under_way

    def retire(self):
        """It was removed: it never starts again, whoever still holds a timer of it."""
        self.spec = replace(self.spec, run=False)

    def marks(self):
        """What tells its processes from others."""
        pid, start = (self.life.pid, self.life.start) if self.life else (None, None)
        return self.place.marks(pid, start)

    def notified(self, pid, uid, fields):
        """A message on its notify socket."""
        ready = self._hearing.heard(pid, uid, fields)
        if ready and self.state == ProcessStates.STARTING and self.spec.readiness.kind == "notify":
            self._become_ready(time.monotonic())

    def excuse(self, seconds):
        """Our loop was held: deadlines of a living process are put off by that."""
        if self.pid:
            self.life.excuse(seconds)

    # The present situation decides

    def _step(self):
        now = self._container.loop.now()
        if self.pid:
            self._watch(now)
        elif self._is_busy():
            return
        elif self._clearing.needed:
            self._clearing.begin(now)
        elif not self._may_run():
            self._spawning.forget()
            self._wait("")
            self._become(ProcessStates.STOPPED)
        elif self._is_held():
            return
        elif now >= self._start_from and self._is_prepared():
            self._launch(now)
        self._arm()

    def _is_busy(self):
        """Something goes on that must be over before anything else is done."""
        return self._clearing.under_way or self._spawning.under_way or self._container.turns.busy(self.bot)

    def _is_prepared(self):
        """Whether all that a start needs is there; if not, sees to it."""
        return True

    def _is_ready(self, now):
        """Whether it just became ready without saying so."""
        return self.life.is_ready(self.spec.readiness, now)

    def _may_run(self):
        return self.spec.run and self.config.options.mood == SupervisorStates.RUNNING

    def _watch(self, now):
        if self.life.ending is not None:
            if now >= self.life.kill_at:
                children.tell(self.pid, signal.SIGKILL)
                self.life.kill_at = now + KILL_AGAIN_SECONDS
        elif not self._may_run():
            self._end(now, "stopped as asked", True)
        elif self.life.generation < self.spec.restart_generation:
            self._end(now, "restarted as asked", True)
        elif late := self.life.overdue(self.spec.readiness, now):
            self._end(now, late, False)
        elif excess := self.allowance.excess():
            self._end(now, excess, False)
        elif self._is_ready(now):
            self._become_ready(now)

    def _arm(self):
        """Has the loop woken when the next step is due. A timer that comes too early only steps and arms again."""
        due = self._due()
        if due is None or (self._timer is not None and self._timer.when <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._container.loop.at(due, self._alarm)

    def _due(self):
        if self.pid:
            return self.life.due(self.spec.readiness)
        if self._is_busy():
            return None
        if self._clearing.needed:
            return self._clearing.due
        return self._start_from if self._may_run() and not self._waits_for else None

    def _alarm(self):
        self._timer = None
        self.step()

    # From one state to the next

    def _launch(self, now):
        way = self._spawning.way()
        self._wait("the zygote, which is importing" if self._spawning.waits else "")
        if way is None:
            return
        self.life = Life(self.spec.generation, now, time.time(), spawn=way.observed)
        self.next_start_at = None
        self._clearing.needed = True
        self._become(ProcessStates.STARTING)  # not stopped any more, although its pid comes later
        self._spawning.begin(way, self.allowance.admit())

    def _wait(self, what):
        """Shows what it waits for; "" for nothing any more."""
        if what == self._waits_for:
            return
        if what or self.reason == f"waits for {self._waits_for}":
            self.reason = what and f"waits for {what}"
            self._container.changes.touch(self.bot)
        self._waits_for = what
        if what:
            self.next_start_at = None
            self._become(ProcessStates.STARTING)

    def spawned(self, started):
        """Its process is there, and waits for us to know of it."""
        self.pid = started.pid
        self.restarts += self._unasked
        self.config.options.pidhistory[self.pid] = self
        stat = procfs.stat(self.pid)
        self.life.pid, self.life.start = self.pid, stat and stat.start
        self._note(self.life.pid, self.life.start)
        started.go()
        self.config.options.logger.info(f"{self.bot}: pid {self.pid}")
        self._container.changes.touch(self.bot)
        self._container.loop.wake()

    def not_spawned(self, error):
        self._drop_pipes()
        if isinstance(error, NotForked):
            self._container.loop.wake()  # there is another way
        else:
            self._fail(time.monotonic(), f"could not be started: {error}")

    def _become_ready(self, now):
        self.life.become_ready(now, time.time())
        self.reason = ""
        self._become(ProcessStates.RUNNING)
        self._arm()

    def _end(self, now, reason, asked):
        self.life.end(now, reason, asked, self.spec.stop.grace_seconds)
        self.reason = reason
        children.tell(self.pid, self.spec.stop.signal)
        self._become(ProcessStates.STOPPING)

    def _finished(self, status):
        self.drain()
        self._drop_pipes()
        self.pid = 0
        self._note(None, None)
        now = time.monotonic()
        how, why = describe_exit(status)
        if how["signal"] == "SIGKILL":
            why = self.allowance.explain() or why
        reason, asked = self.life.ending or (why, False)
        self.last_exit = {**how, "at": time.time(), "expected": asked}
        self.allowance.ended()
        if self.life.was_healthy(self.spec.backoff, now):
            self._failures = 0
        if asked:
            self._leave(reason)
        else:
            self._fail(now, reason)
        self._container.changes.touch(self.bot)
        self._container.loop.wake()

    def _note(self, pid, start):
        """Remembers the living process, None for none, for a later supervisord."""
        self._container.fences.note_process(self.bot, pid, start)

    def _is_held(self):
        held = self.allowance.hold()
        if held:
            self.reason, self.next_start_at = held, None
            self._become(ProcessStates.BACKOFF)
        return bool(held)

    def _leave(self, reason):
        self.reason = reason
        self._unasked = False
        self._start_from = 0.0
        self._become(ProcessStates.STARTING if self._may_run() else ProcessStates.STOPPING)

    def not_prepared(self, reason):
        """What its start needs could not be had. It is tried again as after a start that failed."""
        restarts = self._unasked
        self._wait("")
        self._fail(time.monotonic(), reason)
        self._unasked = restarts
        self._container.loop.wake()

    def _fail(self, now, reason):
        self.reason = reason
        self._unasked = True
        self._failures += 1
        wait = backoff.delay(self.spec.backoff, self._failures, random.random())
        self._start_from, self.next_start_at = now + wait, time.time() + wait
        self._become(ProcessStates.BACKOFF)
