"""One bot under supervisord: keeps its process the way its spec wants it.

supervisord reaps the process and reads its output; everything else is decided in `_step`, from nothing but the present
situation. It runs in every turn of the loop, so an event only has to wake the loop.
"""

import os
import random
import signal
import time
from dataclasses import replace

from supervisor.process import Subprocess
from supervisor.states import ProcessStates, SupervisorStates, getProcessStateDescription

from . import backoff, ceilings, leftovers, procfs
from .exits import describe_exit
from .faults import Fault
from .launch import environment_of, what_to_launch
from .life import Life
from .promise import Promise
from .spawn import Execute, Fork, NotForked, Wait, start

RETRY_SECONDS = 1
LONGEST_STATUS = 500
TELL_SECONDS = 1


class BotProcess(Subprocess):
    def __init__(self, config, container):
        super().__init__(config)
        self._container = container
        self.bot = config.name
        self.spec = None
        self.life = None  # the present run, or the last one
        self.last_exit = None
        self.restarts = 0
        self.reason = ""
        self.listener = None  # self, other or none; None: not looked yet
        self.used = ceilings.Used()
        self.warning = ""
        self.next_start_at = None
        self._clean = True  # nothing of an earlier run is left: the apply that brings a bot has seen to it
        self._clearing = False
        self._waiting = False  # for a zygote, which steps us when it is ready
        self._spawning = False  # asked for, and its pid is not known yet
        self._instead = None  # how to start after a zygote let us down
        self._clear_from = 0.0
        self._start_from = 0.0
        self._failures = 0
        self._held = ""  # why it is not started though nothing else speaks against it
        self._admission = ""  # what went wrong with its cgroup
        self._unasked = False  # the coming start is one that nobody asked for
        self._timer = None
        self._telling = None
        self._told = 0.0  # when its last new status was told

    def accept(self, spec):
        """Takes a new spec. A running process stays; what must change is changed by the next step."""
        if self.state == ProcessStates.BACKOFF and spec.generation > self.spec.generation:
            self._start_from = 0.0
        self.spec = spec
        self._container.cgroups.adjust(spec.slot, spec.limits)
        self._warn()

    @property
    def alive(self):
        """Also while its process is being made: until the zygote has answered, one may come yet."""
        return self.pid != 0 or self._spawning

    def step(self):
        """Does what there is to do now. Never raises."""
        self._container.loop.guard(self._step)

    def retire(self):
        """Its bot was removed: it never starts again, whoever still holds a timer of it."""
        self.spec = replace(self.spec, run=False)

    def forget(self):
        """Its next tenant hears nothing of its runs so far."""
        self.life = self.last_exit = self.listener = self.next_start_at = None
        self.used = ceilings.Used()
        self.restarts = self._failures = 0
        self.reason = self.warning = self._held = self._admission = ""
        self._start_from, self._unasked = 0.0, False
        self._container.changes.touch(self.bot)

    def marks(self):
        """What tells its processes from others."""
        pid, start = (self.life.pid, self.life.start) if self.life else (None, None)
        return self._container.marks(self.bot, self.spec.slot, self.spec.port, pid, start)

    def notified(self, pid, uid, fields):
        """A message on its notify socket."""
        if not self.pid or not self._owns(pid, uid):
            return
        if "STATUS" in fields:
            self._says(fields["STATUS"][:LONGEST_STATUS])
        if fields.get("WATCHDOG") == "1" or fields.get("RELOADING") == "1":
            self.life.heard = time.monotonic()
        if fields.get("STOPPING") == "1" and self.life.ending is None:
            self.reason = "says that it is stopping"
        if fields.get("READY") == "1" and self.state == ProcessStates.STARTING and self.spec.readiness.kind == "notify":
            self._become_ready(time.monotonic())

    def _says(self, status):
        """A new status is a change; of a bot that never stops changing it, one a second is told."""
        if status == self.life.status:
            return
        self.life.status = status
        if self._telling is None:
            self._telling = self._container.loop.at(max(time.monotonic(), self._told + TELL_SECONDS), self._tell)

    def _tell(self):
        self._telling = None
        self._told = time.monotonic()
        self._container.changes.touch(self.bot)

    def listens(self, verdict):
        """Who listens on its port was seen."""
        if verdict != self.listener:
            self.listener = verdict
            self._container.changes.touch(self.bot)
            self.step()

    def excuse(self, seconds):
        """Our loop was held: deadlines of a living process are put off by that."""
        if self.pid:
            self.life.excuse(seconds)

    def measured(self, used):
        """What it uses was measured anew."""
        self.used = used
        self._warn()
        self.step()

    def waits_for_port(self):
        return self.state == ProcessStates.STARTING and self.spec.readiness.kind == "listen"

    # Called by supervisord

    def transition(self):
        self.step()

    def stop(self):
        """At shutdown: the step sees that supervisord is stopping."""
        self.step()

    def give_up(self):
        self.step()

    def spawn(self):
        """Asked for by supervisord's own interface, which knows nothing of wishes."""
        self.config.options.logger.warn(f"bunkhouse: {self.bot} is started and stopped by bunkhouse.apply only")

    def kill(self, sig):
        self.spawn()

    def finish(self, pid, sts):
        self._container.loop.guard(self._finished, sts)

    # The present situation decides

    def _step(self):
        now = self._container.loop.now()
        if self.pid:
            self._watch(now)
        elif self._clearing or self._spawning or self._container.turns.busy(self.bot):
            return
        elif not self._clean:
            self._clear(now)
        elif not self._may_run():
            self._waits_no_more()
            self._instead = None
            self._become(ProcessStates.STOPPED)
        elif self._is_held():
            return
        elif now >= self._start_from:
            self._launch(now)
        self._arm()

    def _may_run(self):
        return self.spec.run and self.config.options.mood == SupervisorStates.RUNNING

    def _watch(self, now):
        if self.life.ending is not None:
            if now >= self.life.kill_at:
                self._signal(signal.SIGKILL)
                self.life.kill_at = now + RETRY_SECONDS
        elif not self._may_run():
            self._end(now, "stopped as asked", True)
        elif self.life.generation < self.spec.restart_generation:
            self._end(now, "restarted as asked", True)
        elif late := self.life.overdue(self.spec.readiness, now):
            self._end(now, late, False)
        elif excess := ceilings.excess(self.spec.limits, self.used):
            self._end(now, excess, False)
        elif self.life.is_ready(self.spec.readiness, self.listener, now):
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
        if not self._clean:
            return None if self._clearing or self._spawning else self._clear_from
        return self._start_from if self._may_run() and not self._waiting else None

    def _alarm(self):
        self._timer = None
        self.step()

    # From one state to the next

    def _launch(self, now):
        way = self._instead or self._container.zygotes.way(self.spec, environment_of(self, self._container))
        if isinstance(way, Wait):
            self._wait(way.reason)
            return
        if isinstance(way, Execute) and not self._container.loop.may_fork():
            return
        self._waits_no_more()
        self._instead = None
        self.life = Life(self.spec.generation, now, time.time(), spawn=_describe(way))
        self.listener = self.next_start_at = None
        self._clean = False
        self._spawning = True
        self._become(ProcessStates.STARTING)  # not stopped any more, although its pid comes later
        cgroups, self._admission = self._container.cgroups.admit(self.spec.slot, self.spec.limits)
        self._warn()
        try:
            self.dispatchers, self.pipes = self.config.make_dispatchers(self)
            started = start(way, what_to_launch(self, self._container, cgroups), self.pipes["child_stdout"])
        except OSError as error:
            started = Promise()
            started.reject(error)
        finally:
            self.config.options.close_child_pipes(self.pipes)
        started.then(lambda outcome: self._container.loop.guard(self._spawned, outcome))

    def _wait(self, reason):
        self._waiting = True
        self.reason = reason
        self._become(ProcessStates.STARTING)

    def _waits_no_more(self):
        if self._waiting:
            self._waiting, self.reason = False, ""

    def _spawned(self, outcome):
        self._spawning = False
        try:
            started = outcome.result()
        except (NotForked, OSError) as error:
            self._not_spawned(error)
            return
        self.pid = started.pid
        self.restarts += self._unasked
        self.config.options.pidhistory[self.pid] = self
        stat = procfs.stat(self.pid)
        self.life.pid, self.life.start = self.pid, stat and stat.start
        self._container.fences.note_process(self.bot, self.life.pid, self.life.start)
        started.go()
        self.config.options.logger.info(f"{self.bot}: pid {self.pid}")
        self._container.changes.touch(self.bot)
        self._container.loop.wake()

    def _not_spawned(self, error):
        """Nothing runs. Without the zygote it is tried another way, at once."""
        self.config.options.close_parent_pipes(self.pipes)
        self.pipes, self.dispatchers = {}, {}
        if isinstance(error, NotForked):
            self._instead = Execute(str(error))
            self._container.loop.wake()
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
        self._signal(self.spec.stop.signal)
        self._become(ProcessStates.STOPPING)

    def _signal(self, number):
        """To the whole process group; right after the fork the child does not lead one yet."""
        for send in (os.killpg, os.kill):
            try:
                send(self.pid, number)
                return
            except ProcessLookupError:
                continue

    def _finished(self, status):
        self.drain()
        self.config.options.close_parent_pipes(self.pipes)
        self.pid, self.pipes, self.dispatchers = 0, {}, {}
        self._container.fences.note_process(self.bot, None, None)
        now = time.monotonic()
        how, why = describe_exit(status)
        if how["signal"] == "SIGKILL":
            why = self._container.cgroups.explain(self.spec.slot, self.spec.limits) or why
        reason, asked = self.life.ending or (why, False)
        self.last_exit = {**how, "at": time.time(), "expected": asked}
        self.used = replace(self.used, sample=None)
        self._admission = ""
        self._warn()
        if self.life.was_healthy(self.spec.backoff, now):
            self._failures = 0
        if asked:
            self._leave(reason)
        else:
            self._fail(now, reason)
        self._container.changes.touch(self.bot)
        self._container.loop.wake()

    def _is_held(self):
        self._held = ceilings.hold(self._held, self.spec.limits, self.used)
        if self._held:
            self.reason, self.next_start_at = self._held, None
            self._become(ProcessStates.BACKOFF)
        return bool(self._held)

    def _warn(self):
        """What is near a ceiling. That it is, or is no more, is a change; how near it is changes all the time."""
        before = self.warning
        self.warning = "; ".join(filter(None, [self._admission, ceilings.warning(self.spec.limits, self.used)]))
        if bool(before) != bool(self.warning):
            self._container.changes.touch(self.bot)

    def _leave(self, reason):
        self.reason = reason
        self._unasked = False
        self._start_from = 0.0
        self._become(ProcessStates.STARTING if self._may_run() else ProcessStates.STOPPING)

    def _fail(self, now, reason):
        self.reason = reason
        self._unasked = True
        self._failures += 1
        wait = backoff.delay(self.spec.backoff, self._failures, random.random())
        self._start_from, self.next_start_at = now + wait, time.time() + wait
        self._become(ProcessStates.BACKOFF)

    def _clear(self, now):
        """Ends what is left of the last run, in a helper."""
        if now < self._clear_from:
            return
        self._clearing = True
        marks = self.marks()
        self._container.quick.run(f"end what is left of {self.bot}", lambda: leftovers.end(marks), 15).then(self._cleared)

    def _cleared(self, outcome):
        self._clearing = False
        try:
            alive = outcome.result()
            self._clean = not alive
            trouble = f"processes {alive} of its last run cannot be ended"
        except Fault as fault:
            trouble = fault.text
        if not self._clean:
            self.reason = trouble
            self._clear_from = time.monotonic() + RETRY_SECONDS
        self.step()

    def _become(self, state):
        if self.state != state:
            self.change_state(state)
            about = ", ".join(filter(None, [self.pid and f"pid {self.pid}", self.reason]))
            self.config.options.logger.info(f"{self.bot}: {getProcessStateDescription(state).lower()}{about and f' ({about})'}")
            self._container.changes.touch(self.bot)

    def _owns(self, pid, uid):
        """Whether a sender is the bot: by its uid, where the bot has its own, or else by its session."""
        mine = self._container.users.uid(self.spec.port)
        if mine is not None:
            return uid == mine
        try:
            return pid == self.pid or os.getsid(pid) == self.pid
        except ProcessLookupError:
            return False


def _describe(way):
    return {"kind": "prefork", "reason": ""} if isinstance(way, Fork) else {"kind": "exec", "reason": way.reason}
