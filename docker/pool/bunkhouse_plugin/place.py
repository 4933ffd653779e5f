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


def place_of_bot(layout, uid, bot, slot):
    """The groups that its services have it in are to be added."""
    notify_socket = layout.notify_socket(slot)
    return Place(
        home=layout.bot(bot),
        log=layout.log(bot),
        uid=uid,
        seat=slot,
        notify_socket=notify_socket,
        variables=(("NOTIFY_SOCKET", notify_socket), ("BUNKHOUSE_BOT", bot)),
        told=(("BUNKHOUSE_SLOT", str(slot)),),
        groups=(),
    )


def place_of_service(layout, uid, name, number):
    """Its number tells its socket and cgroup from those of bots and of other services."""
    seat, home = f"s{number}", layout.service(name)
    return Place(
        home=home,
        log=layout.service_log(name),
        uid=uid,
        seat=seat,
        notify_socket=layout.notify_socket(seat),
        variables=(("BUNKHOUSE_SERVICE_DIR", home),),
        told=(("NOTIFY_SOCKET", layout.notify_socket(seat)), ("BUNKHOUSE_SERVICE", name)),
        groups=(),
    )
