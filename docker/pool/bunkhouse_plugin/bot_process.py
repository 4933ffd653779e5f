"""A bot: what its process has that a service's has not."""

from supervisor.states import ProcessStates

from .process import KeptProcess


class BotProcess(KeptProcess):
    def __init__(self, config, container):
        super().__init__(config, container)
        self.listener = None  # on its port: self, other or none; None: not looked yet

    def forget(self):
        """Its next tenant hears nothing of its runs so far."""
        self.life = self.last_exit = self.listener = self.next_start_at = None
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

    def _launch(self, now):
        self.listener = None
        super()._launch(now)

    def _is_ready(self, now):
        if self.spec.readiness.kind == "listen":
            return self.life.ready is None and self.listener == "self"
        return super()._is_ready(now)
