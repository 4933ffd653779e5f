"""A shared service: kept like a bot, but up before the bots of its container are started, and until the last of them is gone."""

import time
from dataclasses import dataclass

from supervisor.states import ProcessStates

from .preparing import Preparing
from .process import KeptProcess
from .service_sockets import accepts
from .service_spec import ServiceSpec
from .service_steps import make_ready

ASK_SECONDS = 0.1
PREPARING_SECONDS = 60


@dataclass(frozen=True)
class KeptSpec(ServiceSpec):
    """With what a KeptProcess wants to know besides. Each changed definition has a generation of its own."""

    generation: int
    run: bool = True
    restart_generation: int = 0  # never restarted as asked: see `outdated`
    prefork: None = None


class ServiceProcess(KeptProcess):
    def __init__(self, config, container, name, run):
        super().__init__(config, container)
        self.name = name
        self._run = run  # its directory for sockets
        self._definition = None
        self._newest = -1  # generation of the bot that brought it
        self._preparing = Preparing(self, container.quick)
        self._ask_at = 0.0

    def want(self, definition, generation, place):
        """Takes the definition that came with a bot's spec, unless a newer one came before."""
        if generation < self._newest and self.spec.run:
            return
        self._newest = generation
        if definition == self._definition and self.spec.run:
            return
        version = self.spec.generation if self.spec else 0
        if definition != self._definition:
            version += 1
        self._definition = definition
        self.accept(KeptSpec(**vars(definition), generation=version), place)

    @property
    def user(self):
        return self.name

    @property
    def ready(self):
        return self.state == ProcessStates.RUNNING

    @property
    def outdated(self):
        """Runs by an earlier definition. It is restarted as soon as no bot runs that it would be taken from."""
        return self.pid != 0 and self.life.generation < self.spec.generation

    def missing(self):
        """What bots wait for, as they tell it; "" when it is ready."""
        if self.ready:
            return ""
        return f"service {self.name}{self.reason and f' ({self.reason})'}"

    def spawned(self, started):
        self._preparing.forget()
        super().spawned(started)

    def _may_run(self):
        """Whatever is wished: as long as bots live that may use it, it is not stopped. But it is not started for them in the end either."""
        return super()._may_run() or (self.pid != 0 and self._container.has_living_bots())

    def _watch(self, now):
        if self.outdated and self.life.ending is None and not self._container.has_living_bots():
            self._end(now, "restarted with its changed definition", True)
        super()._watch(now)

    def _is_busy(self):
        return super()._is_busy() or self._preparing.under_way

    def _is_prepared(self):
        if self._preparing.is_done(self.spec.generation):
            return True
        place, run, definition = self.place, self._run, self._definition
        self._become(ProcessStates.STARTING)
        self._preparing.begin(self.spec.generation, f"prepare {self.name}", lambda: make_ready(place, run, definition), PREPARING_SECONDS)
        return False

    def _is_ready(self, now):
        if self.spec.readiness.kind != "socket":
            return super()._is_ready(now)
        if self.life.ready is not None or now < self._ask_at:
            return False
        self._ask_at = now + ASK_SECONDS
        return accepts(self.spec.readiness.path, self.place.uid)

    def _due(self):
        due = super()._due()
        asking = self.pid and self.life.ready is None and self.life.ending is None and self.spec.readiness.kind == "socket"
        return min(due, max(self._ask_at, time.monotonic())) if asking else due

    def _note(self, pid, start):
        self._container.fences.note_service(self.name, self.place.uid, pid, start)

    def _become(self, state):
        super()._become(state)
        self._container.services.changed()
