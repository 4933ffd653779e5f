"""A bot: what its process has that a service's has not."""

from supervisor.states import ProcessStates

from . import service_steps
from .preparing import Preparing
from .process import KeptProcess


class BotProcess(KeptProcess):
    def __init__(self, config, container):
        super().__init__(config, container)
        self._provisioning = Preparing(self, container.steps)
        self.listener = None  # on its port: self, other or none; None: not looked yet

    def forget(self):
        """Its next tenant hears nothing of its runs so far."""
        self.life = self.last_exit = self.listener = self.next_start_at = None
        self._provisioning.forget()
        self.allowance.forget()
        self.restarts = self._failures = 0
        self.reason = ""
        self._start_from, self._unasked = 0.0, False
        self._container.changes.touch(self.bot)

    def listens(self, verdict):
        """Who listens on its port was seen."""
        if verdict != self.listener:
            self.listener = verdict
            self._container.changes.touch(self.bot)
            self.step()

    def waits_for_port(self):
        return self.state == ProcessStates.STARTING and self.spec.readiness.kind == "listen"

    def _is_busy(self):
        return super()._is_busy() or self._provisioning.under_way

    def _is_prepared(self):
        """Its services are up, and have made room for it once for each change of it."""
        if missing := self._container.services.missing(self.spec):
            self._wait(missing)
            return False
        if self._provisioning.is_done(self.spec.generation):
            return True
        works = service_steps.as_service("provision", self.spec, self._container.services)
        if not works:
            return True
        self._wait("its room in a service")
        what, seconds = f"provision {self.bot}", service_steps.seconds(works)
        self._provisioning.begin(self.spec.generation, what, lambda: service_steps.carry_out(works), seconds)
        return False

    def _launch(self, now):
        self.listener = None
        super()._launch(now)
        if self.life is not None:
            self.life.marks = self.spec.marks

    def _is_ready(self, now):
        if self.spec.readiness.kind == "listen":
            return self.life.ready is None and self.listener == "self"
        return super()._is_ready(now)
