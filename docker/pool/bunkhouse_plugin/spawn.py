"""Where a bot's program is started: the only place."""

import os
import resource
from dataclasses import dataclass

from . import children
from .spec import Limits

# Out of memory, the kernel should take a bot before supervisord, whose end would be the end of all bots.
OOM_SCORE_ADJ = b"500"


@dataclass(frozen=True)
class Launch:
    """Everything there is to know about a process to start. `output` is the descriptor for stdout and stderr."""

    argv: tuple
    env: dict
    directory: str
    uid: int | None
    limits: Limits
    output: int


class ExecSpawner:
    """Starts a program by fork and exec."""

    def spawn(self, launch):
        """Returns the pid of the new process, which leads a session of its own. Raises OSError when it cannot fork.

        What fails later, in the child, goes to the bot's output, and the child exits with 127.
        """
        parent = os.getpid()
        pid = children.fork()
        if pid == 0:
            _exec(launch, parent)
        return pid


def _exec(launch, parent):
    try:
        os.setsid()
        _descriptors(launch.output)
        _limit(launch.limits, own_uid=launch.uid is not None)
        if launch.uid is not None:
            os.setgroups([])
            os.setgid(launch.uid)
            os.setuid(launch.uid)
        os.umask(0o077)
        os.chdir(launch.directory)
        children.die_with(parent)
        os.execvpe(launch.argv[0], launch.argv, launch.env)
    except BaseException as error:
        os.write(2, f"bunkhouse: cannot start {launch.argv[0]}: {error}\n".encode(errors="replace"))
    finally:
        os._exit(127)


def _descriptors(output):
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    children.close_from(3)


def _limit(limits, own_uid):
    with open("/proc/self/oom_score_adj", "wb", buffering=0) as file:
        file.write(OOM_SCORE_ADJ)
    # Less than what supervisord has may not be had without root.
    os.setpriority(os.PRIO_PROCESS, 0, max(limits.nice, os.getpriority(os.PRIO_PROCESS, 0)))
    _set(resource.RLIMIT_CORE, 0)
    _set(resource.RLIMIT_DATA, limits.memory_bytes)
    _set(resource.RLIMIT_NOFILE, limits.open_files)
    if own_uid:  # counted per uid: shared, one bot's processes would be held against another
        _set(resource.RLIMIT_NPROC, limits.processes)


def _set(kind, value):
    if value is None:
        return
    hard = resource.getrlimit(kind)[1]
    if os.geteuid() != 0 and hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))
