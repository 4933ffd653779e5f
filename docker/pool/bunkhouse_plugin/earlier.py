"""Ending what an earlier supervisord of this container has left, before anything is started."""

from . import leftovers
from .faults import Fault
from .promise import Promise

SECONDS = 60


def end_all(container):
    """Promise that no process of an earlier supervisord is left, as far as can be helped."""
    lives = _lives(container)
    done = Promise()
    if not lives:
        done.resolve()
        return done

    def report(outcome):
        try:
            left = [pid for pids in outcome.result() for pid in pids]
            trouble = left and f"processes {left} of an earlier supervisord cannot be ended"
        except Fault as fault:
            trouble = fault.text
        if trouble:
            container.loop.logger.error(f"bunkhouse: {trouble}")
        done.resolve()

    container.quick.run("end earlier processes", lambda: [leftovers.end(marks) for marks in lives], SECONDS).then(report)
    return done


def _lives(container):
    """Marks of all that may live. Bots first: they may use the services."""
    bots = [
        container.place(bot, fence["slot"], fence["port"]).marks(fence["pid"], fence["start"])
        for bot, fence in container.fences.known().items()
        if fence["port"] is not None and not fence["removed"]
    ]
    return bots + [container.services.marks(name, fence) for name, fence in container.fences.known_services().items()]
