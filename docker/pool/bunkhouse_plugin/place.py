"""Where a process lives, and as whom."""

from dataclasses import dataclass

from .leftovers import Marks


@dataclass(frozen=True)
class Place:
    home: str
    log: str
    uid: int | None  # and gid; None: supervisord's own
    seat: object  # names its notify socket and its cgroup: a bot's slot
    notify_socket: str
    variables: tuple  # (name, value) of those that everything it starts has in its environment
    told: tuple  # more variables for it
    groups: tuple  # gids of what it may reach besides

    def marks(self, pid=None, start=None):
        """What tells its processes from others; those of a known run with its pid and start."""
        return Marks(tuple(f"{name}={value}" for name, value in self.variables), self.uid, pid, start)
