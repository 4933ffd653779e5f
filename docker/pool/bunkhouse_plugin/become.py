"""From a fresh child to the bot: what happens between the fork and the first line of the bot's program.

Shared by executed and forked bots. Needs the standard library only, because the zygote runs it under the bots' own Python.
"""

import json
import os
import resource
from dataclasses import asdict, dataclass

from . import children

# Out of memory, the kernel should take a bot before supervisord or the zygote, whose end would be the end of all. Those may
# have a high score already: Kubernetes gives one up to 1000 to everything in a container.
OOM_SCORE_ADJ = 500
ABOVE_PARENT = 100
MOST_OOM_SCORE_ADJ = 1000


@dataclass(frozen=True)
class Launch:
    """Everything there is to know about a process to start. Secret: it holds the bot's environment."""

    argv: tuple
    env: dict
    directory: str
    uid: int | None
    groups: tuple  # it has besides that of its uid
    nice: int
    rlimits: tuple  # pairs of a RLIMIT_… number and its value
    parent: int  # supervisord's pid: the bot does not outlive it
    cgroups: tuple  # directories of the cgroups it enters

    def encode(self):
        return json.dumps(asdict(self)).encode()


def decode_launch(data):
    return Launch(**json.loads(data))


def wait_at(gate):
    """Until somebody opens the gate with a byte. If nobody can any more, this process ends: nobody knows of it."""
    if not os.read(gate, 1):
        os._exit(0)


def become(launch, output, keep=()):
    """Session, descriptors, cgroups, limits, user, directory. `keep`: descriptors that stay open. Raises OSError."""
    os.setsid()
    _descriptors(output, keep)
    _enter(launch.cgroups)
    _limit(launch)
    if launch.uid is not None:
        os.setgroups(launch.groups)
        os.setgid(launch.uid)
        os.setuid(launch.uid)
    os.umask(0o077)
    os.chdir(launch.directory)
    children.die_with(launch.parent)


def _descriptors(output, keep):
    os.dup2(output, 1)
    os.dup2(output, 2)
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    children.close_from(3, keep)


def _enter(cgroups):
    """Done here and not from outside, because the kernel may let whoever does it wait for tens of milliseconds."""
    for folder in cgroups:
        try:
            with open(os.path.join(folder, "cgroup.procs"), "wb", buffering=0) as procs:
                procs.write(b"0")  # whoever writes it
        except OSError as error:
            os.write(2, f"bunkhouse: goes on without the cgroup {folder}: {error.strerror}\n".encode())


def _limit(launch):
    with open("/proc/self/oom_score_adj", "r+b", buffering=0) as file:
        inherited = int(file.read())
        file.write(str(min(MOST_OOM_SCORE_ADJ, max(OOM_SCORE_ADJ, inherited + ABOVE_PARENT))).encode())
    # Less than what supervisord has may not be had without root.
    os.setpriority(os.PRIO_PROCESS, 0, max(launch.nice, os.getpriority(os.PRIO_PROCESS, 0)))
    for kind, value in launch.rlimits:
        hard = resource.getrlimit(kind)[1]
        if os.geteuid() != 0 and hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.setrlimit(kind, (value, value))
