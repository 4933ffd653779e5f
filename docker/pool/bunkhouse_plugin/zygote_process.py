"""One zygote as a process: started, spoken to, ended. What it does is in zygote/, the protocol in lib/README.md."""

import json
import os
import signal
import socket
import time
from collections import deque

from . import children, procfs
from .exits import describe_exit
from .loop import Dispatcher
from .promise import Promise
from .spawn import NotForked

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "zygote", "__main__.py")
PRELOAD_SECONDS = 180
FORK_SECONDS = 10
SOCKET = 3
LONGEST_ANSWER = 1 << 20
# Room in its arguments and environment for those of a bot, which take their place (zygote/titles.py).
PADDING = "-" * 1000


class ZygoteProcess(Dispatcher):
    """`changed()` is called when it became ready or ended; then `ready` or `ended` says which."""

    def __init__(self, recipe, home, log, options, loop, changed):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self.pid = _start(recipe, home, log, theirs)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        super().__init__(ours, loop.logger)
        self.ready = None
        self.ended = None  # why
        self.forks = 0
        self._changed = changed
        self._orders = deque()
        self._verdict = None  # why it was told to end
        self._reaped = False  # its pid may be another's
        self._deadline = loop.at(time.monotonic() + PRELOAD_SECONDS, lambda: self.end(f"not ready after {PRELOAD_SECONDS} s"))
        self._loop = loop
        options.pidhistory[self.pid] = self

    def fork(self, launch, output, gate):
        """Promise of the pid of a child of ours that waits at the gate. Rejected with NotForked."""
        order = Promise()
        try:
            secret = os.memfd_create("launch")
            try:
                _write_all(secret, launch.encode())
                socket.send_fds(self.socket, [b"fork"], [secret, output, gate])
            finally:
                os.close(secret)
        except OSError as error:
            order.reject(NotForked(f"the zygote cannot be reached: {error.strerror}"))
            return order
        self._orders.append(order)
        if len(self._orders) == 1:
            self._await_answer()
        return order

    def _await_answer(self):
        """To the oldest order: on a busy machine many at once take their time, and a zygote that goes on is not to be ended."""
        self._deadline.cancel()
        if self._orders:
            self._deadline = self._loop.at(time.monotonic() + FORK_SECONDS, lambda: self.end(f"no answer within {FORK_SECONDS} s"))

    def end(self, why):
        """It ends at once; forked bots go on."""
        if not self._reaped and self._verdict is None:
            self._verdict = why
            os.kill(self.pid, signal.SIGKILL)

    def forget(self):
        """supervisord starts anew, and whoever is still importing would not see for long that nobody waits for it."""
        super().forget()
        self.end("supervisord starts anew")

    # Called by supervisord

    def handle_read_event(self):
        if self.ended is not None:
            return  # in this same turn
        try:
            message = self.socket.recv(LONGEST_ANSWER)
        except ConnectionResetError:
            message = b""
        if not message:
            self.close()
            return
        answer = json.loads(message)
        if "ready" in answer:
            self._deadline.cancel()
            self.ready = answer["ready"]
            self._changed()
        elif "failed" in answer:
            self._verdict = answer["failed"]
        else:
            order = self._orders.popleft()
            self._await_answer()
            self._answered(order, answer)

    def _answered(self, order, answer):
        if "pid" in answer:
            self.forks += 1
            self._forked(order, answer["pid"])
        else:
            order.reject(NotForked(f"the zygote cannot fork: {answer['error']}"))

    def _forked(self, order, pid):
        """One that died before we heard of it may have been reaped as a stranger, and nobody would tell of its end again."""
        if procfs.stat(pid) is None:
            order.reject(NotForked("the process from the zygote ended at once"))
        else:
            order.resolve(pid)

    def finish(self, pid, status):
        """Was reaped. What it still said is read first."""
        self._reaped = True
        if self.ready is None:
            _end_group(self.pid)
        self._loop.soon(lambda: self._finish(status))

    def _finish(self, status):
        while self.socket.fileno() != -1:
            try:
                self.handle_read_event()
            except BlockingIOError:
                self.close()
        self._deadline.cancel()
        self.ended = self._verdict or describe_exit(status)[1]
        for order in self._orders:
            order.reject(NotForked(f"the zygote ended: {self.ended}"))
        self._changed()


def _start(recipe, home, log, theirs):
    """The pid. It gets nothing of ours: neither descriptors nor environment. Raises OSError."""
    parent = os.getpid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    text = os.memfd_create("recipe")
    try:
        _write_all(text, recipe.encode())
        os.lseek(text, 0, os.SEEK_SET)
        pid = children.fork()
        if pid == 0:
            _run(recipe, home, text, output, theirs.fileno(), parent)
        return pid
    finally:
        os.close(output)
        os.close(text)


def _run(recipe, home, text, output, sock, parent):
    try:
        os.setsid()
        for source, target in ((text, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        keep = os.dup2(sock, SOCKET) if sock != SOCKET else SOCKET
        os.set_inheritable(keep, True)
        children.close_from(SOCKET + 1)
        children.die_with(parent)
        env = {"PATH": recipe.path, "LANG": "C.UTF-8", "HOME": home, "PADDING": PADDING, **dict(recipe.prefork.env)}
        os.execve(recipe.python, [recipe.python, PROGRAM, str(SOCKET), PADDING], env)
    except BaseException as error:
        os.write(2, f"cannot start {recipe.python}: {error}\n".encode(errors="replace"))
    finally:
        os._exit(127)


def _end_group(pid):
    """What a preload started and left behind. Of one that was ready there is nothing but bots that are still on their way."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _write_all(descriptor, data):
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
