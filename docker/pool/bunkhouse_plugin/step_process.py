"""One program of a reset, run like the bot itself: as its user, in its directory, with its environment and limits. Runs in a helper process."""

import os
import select
import time
from dataclasses import dataclass, replace

from . import children, leftovers, procfs
from .become import become
from .exits import describe_exit

LONGEST_OUTPUT = 4096
LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class Ended:
    """`why`: how it failed, None when it did not. `output`: the end of what it printed."""

    why: str | None
    output: str


def execute(step, launch, marks):
    """Runs it to its end or its deadline; what it leaves running, or what cannot be told from it, is ended. Raises OSError."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    stdin = _file_of(step.stdin)
    helper = os.getpid()
    try:
        pid = children.fork()
        if pid == 0:
            _run(replace(launch, argv=step.command, parent=helper), writer, stdin)
        os.close(writer)
        output = _Tail(reader)
        in_time = _follow(pid, output, time.monotonic() + step.seconds)
        left = leftovers.end(replace(marks, pid=pid, start=procfs.stat(pid).start))
        status = os.waitpid(pid, 0)[1]
        output.read()
    finally:
        os.close(reader)
        os.close(stdin)
    return Ended(_why(status, in_time, step.seconds, left), output.text)


def _why(status, in_time, seconds, left):
    if left:
        return f"left processes {left} that cannot be ended"
    if not in_time:
        return f"was not done within {seconds:g} s"
    return describe_exit(status)[1] if status != 0 else None


def _follow(pid, output, deadline):
    """Until it ended, which is not waited for here: its number must stay its own. Whether that was in time."""
    while time.monotonic() < deadline:
        output.read(LOOK_SECONDS)
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return True
    return False


def _run(launch, output, stdin):
    """Never returns."""
    try:
        become(launch, output, keep=(stdin,))
        os.dup2(stdin, 0)
        os.close(stdin)
        os.execvpe(launch.argv[0], launch.argv, launch.env)
    except BaseException as error:
        os.write(2, f"cannot start {launch.argv[0]}: {error}\n".encode(errors="replace"))
    finally:
        os._exit(127)


def _file_of(text):
    """In memory and without a name: it may hold secrets."""
    file = os.memfd_create("stdin")
    view = memoryview(text.encode())
    while view:
        view = view[os.write(file, view) :]
    os.lseek(file, 0, os.SEEK_SET)
    return file


class _Tail:
    """The end of what comes out of a pipe."""

    def __init__(self, reader):
        self._reader, self._data, self._open = reader, b"", True

    def read(self, seconds=0.0):
        """Takes what is there, waiting up to that long for some."""
        if not self._open:
            time.sleep(seconds)
            return
        select.select([self._reader], [], [], seconds)
        try:
            for _ in range(64):
                piece = os.read(self._reader, 1 << 16)
                self._data = (self._data + piece)[-LONGEST_OUTPUT:]
                if not piece:
                    self._open = False
                    return
        except BlockingIOError:
            pass

    @property
    def text(self):
        """Without what XML cannot carry."""
        return "".join(sign if sign.isprintable() or sign == "\n" else "?" for sign in self._data.decode(errors="replace")).strip()
