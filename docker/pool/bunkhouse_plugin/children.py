"""Forking off supervisord without taking its signal handling along, and what a child is told or tells the kernel."""

import ctypes
import os
import signal
from contextlib import contextmanager

PR_SET_PDEATHSIG = 1
PR_GET_PDEATHSIG = 2
PR_SET_DUMPABLE = 4
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)
_ALL = signal.valid_signals()
_RESETTABLE = _ALL - {signal.SIGKILL, signal.SIGSTOP}


def fork():
    """os.fork with signals held back meanwhile, so that none meant for the child is swallowed by supervisord's handlers.

    The child starts with every signal at its default and none blocked.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ALL)
    pid = -1
    try:
        pid = os.fork()
    finally:
        if pid != 0:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if pid == 0:
        signal.set_wakeup_fd(-1)
        for number in _RESETTABLE:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
    return pid


def tell(pid, number):
    """Sends a signal to the whole process group of a child; right after the fork it does not lead one yet."""
    for send in (os.killpg, os.kill):
        try:
            send(pid, number)
            return
        except ProcessLookupError:
            continue


def die_with(parent):
    """In a child: be killed when `parent` dies. Call it after the last change of uid, which would undo it."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it died before the kernel was told


@contextmanager
def dying_as_before():
    """Around a change of uid: a process that was to die with its parent still is afterwards."""
    parent, wanted = os.getppid(), ctypes.c_int()
    prctl(PR_GET_PDEATHSIG, ctypes.addressof(wanted))
    try:
        yield
    finally:
        if wanted.value:
            die_with(parent)


def become_subreaper():
    """What a bot leaves behind becomes our child, as it would be below PID 1."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def be_dumpable():
    """As after an exec: without it, a change of user gives the process's files in /proc to root, and it cannot read its own."""
    prctl(PR_SET_DUMPABLE, 1)


def name_process(name):
    """The short name that `ps` and `top` show; its first 15 bytes count."""
    text = ctypes.create_string_buffer(name.encode()[:15])
    prctl(PR_SET_NAME, ctypes.addressof(text))


def close_from(first, keep=()):
    """Closes every descriptor from `first` on, but those to keep."""
    for kept in sorted(keep):
        os.closerange(first, kept)
        first = kept + 1
    os.closerange(first, 1 << 20)


def prctl(option, value):
    """Raises OSError."""
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
