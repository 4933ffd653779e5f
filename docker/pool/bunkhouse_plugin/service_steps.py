"""Programs that make room for a bot in a service, take it away again, or copy what is the bot's out of it."""

import os
import secrets
import stat
from dataclasses import dataclass, replace

from . import files, leftovers
from .become import Launch
from .faults import INTERNAL, SERVICE_FAILED, Fault, from_oserror
from .launch import what_to_launch
from .leftovers import Marks
from .secrecy import redact
from .step_process import execute

# Beside the time the programs may take.
SLACK_SECONDS = 15


@dataclass(frozen=True)
class Steps:
    """Some that are run one after the other, as the same user."""

    what: str
    programs: tuple  # of Exec
    launch: Launch
    marks: Marks
    secrets: tuple


def seconds(works):
    """How long a helper may take for them."""
    return SLACK_SECONDS + sum(step.seconds for work in works for step in work.programs)


def as_service(kind, spec, services):
    """The Steps of that kind (provision or deprovision) for a bot: as the user of each service, in its directory."""
    wanted = [(services.process(use.name), getattr(use, kind)) for use in spec.services]
    return [_among_others(f"{kind} in {process.name}", programs, process, spec.secrets) for process, programs in wanted if programs]


def as_bot(bot, container):
    """The Steps that copy a stopped bot's data out of its services: as the bot, in its directory."""
    cgroups, _ = container.cgroups.admit(bot.place.seat, bot.spec.limits)
    launch = what_to_launch(bot, cgroups)
    return [Steps(f"archive from {use.name}", use.archive, launch, bot.place.marks(), bot.spec.secrets) for use in bot.spec.services if use.archive]


def carry_out(works):
    """In a helper process. Raises SERVICE_FAILED at the first that fails."""
    for work in works:
        for number, step in enumerate(work.programs, 1):
            _take(f"{work.what}, step {number} ({step.command[0]})", step, work)


def make_ready(place, run, service):
    """In a helper process: what a service needs before each start. Its directory for sockets is a new one."""
    if left := leftovers.end(place.marks()):
        raise Fault(INTERNAL, f"processes {left} of an earlier run cannot be ended")
    files.put(place.home, place.uid, (), service.files)
    files.delete(run)
    os.mkdir(run, 0o700)
    if place.uid is not None:
        # Those that use it are in its group, and come in but change nothing. First, because root may not change what is another's.
        os.chmod(run, stat.S_IRWXU | stat.S_IXGRP)
        os.chown(run, place.uid, place.uid)


def _among_others(what, programs, process, hidden):
    """Other processes of its user are not theirs: told by a variable of their own, and kept out of its cgroup, whose kills are counted."""
    mark = ("BUNKHOUSE_STEP", secrets.token_hex(8))
    launch = what_to_launch(process, ())
    marks = Marks((f"{mark[0]}={mark[1]}",), None, None, None, owner=process.place.uid)
    return Steps(what, programs, replace(launch, env={**launch.env, mark[0]: mark[1]}), marks, hidden)


def _take(which, step, work):
    """The program's arguments and input may hold secrets: they are not told."""
    try:
        ended = execute(step, work.launch, work.marks)
    except OSError as error:
        raise Fault(SERVICE_FAILED, from_oserror(error, f"{which} cannot be run").text) from None
    if ended.why is not None:
        output = " | ".join(redact(ended.output, work.secrets).split("\n")) or "(nothing)"
        raise Fault(SERVICE_FAILED, f"{which} {ended.why}; its output ends: {output}")
