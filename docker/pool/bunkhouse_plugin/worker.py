"""Programs that handle what a bot may have made to harm whoever reads it: databases, archives. Called in a helper process.

Each is executed anew as the bot's user and nobody else: it has nothing of supervisord's memory, where other bots' secrets are,
and can do no more than the bot itself.
"""

import json
import os
import signal
import sys

from . import children
from .faults import INTERNAL, INVALID, Fault

LONGEST_ANSWER = 1 << 16
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


class Killed(Exception):
    pass


def work(program, argument, uid, folder, file):
    """What a program of this package answers, run in `folder` as `uid` (None: as whom we are), with `file` as its descriptor 3.

    Raises INVALID when it refuses what it was given, Killed when something else had to end all processes of that user.
    """
    with open(os.path.join(os.path.dirname(__file__), f"{program}.py")) as text:
        source = text.read()
    helper = os.getpid()
    reader, writer = os.pipe()
    pid = children.fork()
    if pid == 0:
        _become(source, json.dumps(argument), uid, folder, file, writer, helper)
    os.close(writer)
    answer = _read(reader)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        raise Killed
    return _value(program, answer)


def _become(source, argument, uid, folder, file, writer, helper):
    """Never returns."""
    try:
        if uid is not None:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        children.die_with(helper)
        os.nice(5)
        os.umask(0o077)
        os.chdir(folder)
        nothing = os.open(os.devnull, os.O_RDWR)
        wanted = [os.dup(fd) for fd in (nothing, writer, nothing, file)]
        for target, fd in enumerate(wanted):
            os.dup2(fd, target)
        children.close_from(4)
        os.execve(sys.executable, [sys.executable, "-I", "-S", "-B", "-c", source, argument], ENVIRONMENT)
    finally:
        os._exit(127)


def _read(reader):
    with open(reader, "rb") as pipe:
        return pipe.read(LONGEST_ANSWER)


def _value(program, answer):
    try:
        outcome = json.loads(answer)
    except ValueError:
        raise Fault(INTERNAL, f"the program {program} ended without an answer; it needs {sys.executable} with sqlite3, for the bot's user too") from None
    if "refused" in outcome:
        raise Fault(INVALID, f"the archive is refused: {outcome['refused']}")
    if "failed" in outcome:
        raise Fault(INTERNAL, outcome["failed"])
    return outcome["value"]
