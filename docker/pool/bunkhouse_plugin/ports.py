"""Whose the listening sockets on the bots' ports are."""

from itertools import islice

from . import procfs
from .listeners import listeners, reached

MOST_HOLDERS = 100


def look(bots):
    """(bot, "self" | "other" | "none") for each. "self" only when nobody but the bot could be met there."""
    found = listeners()
    return [(bot, _verdict(bot, reached(found.get(bot.spec.port, []), bot.spec.host))) for bot in bots]


def _verdict(bot, sockets):
    if not sockets:
        return "none"
    uid = bot.place.uid
    if uid is not None:
        return "self" if all(each.uid == uid for each in sockets) else "other"
    return "self" if bot.pid and _holds(bot, frozenset(each.inode for each in sockets)) else "other"


def _holds(bot, inodes):
    """Whether the bot's processes have all of the sockets; what was found once is not looked for again."""
    missing = set(inodes - bot.life.sockets)
    for process in islice(procfs.tree(bot.pid), MOST_HOLDERS) if missing else ():
        missing -= procfs.socket_inodes(process)
        if not missing:
            break
    if missing:
        return False
    bot.life.sockets = inodes
    return True
