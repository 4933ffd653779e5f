"""A process as supervisord wants it: what it calls, and what is shown to it. What happens then is decided in process.py."""

from supervisor.process import Subprocess
from supervisor.states import getProcessStateDescription


class Supervised(Subprocess):
    def __init__(self, config, container):
        super().__init__(config)
        self._container = container
        self.bot = config.name
        self.reason = ""

    def step(self):
        """Does what there is to do now. Never raises."""
        self._container.loop.guard(self._step)

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

    def _become(self, state):
        if self.state != state:
            self.change_state(state)
            about = ", ".join(filter(None, [self.pid and f"pid {self.pid}", self.reason]))
            self.config.options.logger.info(f"{self.bot}: {getProcessStateDescription(state).lower()}{about and f' ({about})'}")
            self._container.changes.touch(self.bot)

    def _drop_pipes(self):
        self.config.options.close_parent_pipes(self.pipes)
        self.pipes, self.dispatchers = {}, {}
