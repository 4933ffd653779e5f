"""What a bot uses and may use: its ceilings, its cgroup, and what there is to warn of."""

from dataclasses import replace

from . import ceilings


class Allowance:
    def __init__(self, process, container):
        self._process, self._container = process, container
        self.used = ceilings.Used()
        self.warning = ""
        self._held = ""  # why it is not started though nothing else speaks against it
        self._admission = ""  # what went wrong with its cgroup

    def changed(self):
        """The process has a new spec."""
        self._container.cgroups.adjust(self._process.place.seat, self._limits)
        self._warn()

    def measured(self, used):
        """What it uses was measured anew."""
        self.used = used
        self._warn()
        self._process.step()

    def admit(self):
        """Cgroups for a new process."""
        cgroups, self._admission = self._container.cgroups.admit(self._process.place.seat, self._limits)
        self._warn()
        return cgroups

    def ended(self):
        """Its process is gone, and what was measured of that with it."""
        self.used = replace(self.used, sample=None)
        self._admission = ""
        self._warn()

    def forget(self):
        """What it has now is another's to use."""
        self.used = ceilings.Used()
        self._held = self._admission = ""
        self._warn()

    def hold(self):
        """Why it is not started, or ""."""
        self._held = ceilings.hold(self._held, self._limits, self.used)
        return self._held

    def excess(self):
        """Why it must be ended, or ""."""
        return ceilings.excess(self._limits, self.used)

    def explain(self):
        """Why it was killed with SIGKILL, or ""."""
        return self._container.cgroups.explain(self._process.place.seat, self._limits)

    @property
    def _limits(self):
        return self._process.spec.limits

    def _warn(self):
        """What is near a ceiling. That it is, or is no more, is a change; how near it is changes all the time."""
        before = self.warning
        self.warning = "; ".join(filter(None, [self._admission, ceilings.warning(self._limits, self.used)]))
        if bool(before) != bool(self.warning):
            self._container.changes.touch(self._process.bot)
