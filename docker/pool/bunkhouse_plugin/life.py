"""One run of a bot's process, from its start to its exit, and the deadlines on it. Knows the time only from its callers."""

from dataclasses import dataclass

ALIVE_IS_READY_SECONDS = 1


@dataclass
class Life:
    """`…_at` are seconds since the epoch, for people; all other times are of the monotonic clock."""

    generation: int
    started: float
    started_at: float
    pid: int | None = None
    start: int | None = None  # in clock ticks since boot, as /proc has it
    spawn: dict | None = None  # how it was started: kind and reason
    marks: dict | None = None  # of the spec it was started under
    ready: float | None = None
    ready_at: float | None = None
    heard: float = 0.0
    status: str = ""
    sockets: frozenset = frozenset()  # inodes of the listening sockets on its port, once they were found to be its own
    ending: tuple | None = None  # (reason, asked for), once it was told to go
    kill_at: float = 0.0

    def become_ready(self, now, now_at):
        self.ready = self.heard = now
        self.ready_at = now_at

    def end(self, now, reason, asked, grace):
        self.ending = (reason, asked)
        self.kill_at = now + grace

    def excuse(self, seconds):
        """Nobody listened for so long, so nothing that was not heard of it counts against it."""
        self.started += seconds
        self.heard += seconds
        self.kill_at += seconds

    def is_ready(self, readiness, now):
        """Whether it just became ready by being alive."""
        return self.ready is None and readiness.kind == "process" and now >= self.started + ALIVE_IS_READY_SECONDS

    def overdue(self, readiness, now):
        """Why it must be ended, or None."""
        if self.ready is None and now >= self.started + readiness.startup_seconds:
            return f"not ready {readiness.startup_seconds:g} s after its start"
        if self._watched(readiness) and now >= self.heard + readiness.watchdog_seconds:
            return f"no sign of life for {readiness.watchdog_seconds:g} s"
        return None

    def due(self, readiness):
        """When to look again if nothing happens, or None."""
        if self.ending is not None:
            return self.kill_at
        if self.ready is not None:
            return self.heard + readiness.watchdog_seconds if self._watched(readiness) else None
        deadline = self.started + readiness.startup_seconds
        return min(deadline, self.started + ALIVE_IS_READY_SECONDS) if readiness.kind == "process" else deadline

    def was_healthy(self, backoff, now):
        return self.ready is not None and now - self.ready >= backoff.healthy_seconds

    def _watched(self, readiness):
        return self.ready is not None and readiness.watchdog_seconds is not None
