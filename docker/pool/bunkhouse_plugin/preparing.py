"""What must be done by a helper before a process may be started."""

from .faults import Fault


class Preparing:
    def __init__(self, process, helpers):
        self._process, self._helpers = process, helpers
        self.under_way = False
        self._done = None  # for which generation

    def is_done(self, generation):
        return self._done == generation

    def forget(self):
        """It must be done again."""
        self._done = None

    def begin(self, generation, what, work, seconds):
        """Steps the process when it is done, or tells it that it failed."""
        self.under_way = True
        self._helpers.run(what, work, seconds).then(lambda outcome: self._over(outcome, generation))

    def _over(self, outcome, generation):
        self.under_way = False
        try:
            outcome.result()
        except Fault as fault:
            self._process.not_prepared(fault.text)
        else:
            self._done = generation
            self._process.step()
