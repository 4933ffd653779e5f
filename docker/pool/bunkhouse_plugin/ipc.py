"""What a slot's user left in the kernel: System V objects, POSIX message queues, keys. Runs in a helper process."""

import ctypes
import errno
import os

from . import children
from .trees import DIRECTORY
from .users import acting_as

IPC_RMID = 0
FSOPEN, FSCONFIG, FSMOUNT = 430, 431, 432  # the same on all machines
FSCONFIG_CMD_CREATE = 6
KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219, "loongarch64": 219}
KEYCTL_CLEAR, KEYCTL_GET_PERSISTENT = 7, 22
PROCESS_KEYRING, USER_KEYRING, USER_SESSION_KEYRING = -2, -4, -5
# Not in this kernel, or closed to all in this container: the user cannot have used it either.
UNAVAILABLE = {errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_REMOVE = {
    "shm": lambda number: _libc.shmctl(number, IPC_RMID, None),
    "sem": lambda number: _libc.semctl(number, 0, IPC_RMID),
    "msg": lambda number: _libc.msgctl(number, IPC_RMID, None),
}


def clear(uid):
    """Removes everything of the user's. Returns what is there nevertheless, as sentences. Raises OSError."""
    troubles = _remove_objects(uid) + _remove_queues(uid) + _clear_keys(uid)
    return troubles or [f"System V {kind} {number} is still in use" for kind, number in _objects(uid)]


def _remove_objects(uid):
    troubles = []
    with acting_as(uid):  # owner or creator may; root only with CAP_SYS_ADMIN
        for kind, number in _objects(uid):
            if _REMOVE[kind](number) != 0 and ctypes.get_errno() not in (errno.EINVAL, errno.EIDRM):
                troubles.append(f"System V {kind} {number} cannot be removed: {os.strerror(ctypes.get_errno())}")
    return troubles


def _objects(uid):
    """(kind, number) of everything the user owns or made: either may give it away, and either may use it."""
    for kind in _REMOVE:
        try:
            with open(f"/proc/sysvipc/{kind}") as file:
                header, *lines = map(str.split, file)
        except FileNotFoundError:
            continue
        for line in lines:
            row = dict(zip(header, line))
            if str(uid) in (row["uid"], row["cuid"]):
                yield kind, int(line[1])


def _remove_queues(uid):
    """Once its name is gone, a queue lives as long as a process has it open."""
    folder = _open_queues()
    if folder is None:
        return []
    try:
        for name in os.listdir(folder):
            if _owner(folder, name) == uid:
                os.unlink(name, dir_fd=folder)  # by root, to whom the directory belongs
        return [f"message queue {name!r} is there again" for name in os.listdir(folder) if _owner(folder, name) == uid]
    finally:
        os.close(folder)


def _owner(folder, name):
    try:
        return os.stat(name, dir_fd=folder).st_uid
    except FileNotFoundError:
        return None  # a neighbour's, gone meanwhile


def _open_queues():
    """The directory of all message queues, mounted for us alone or found mounted; None when there are none. Raises OSError."""
    if not os.path.isdir("/proc/sys/fs/mqueue"):
        return None
    try:
        return _mount_queues()
    except OSError:
        if os.path.ismount("/dev/mqueue"):
            return os.open("/dev/mqueue", DIRECTORY)
        raise OSError(errno.EPERM, "message queues cannot be looked for: mount them with mount -t mqueue mqueue", "/dev/mqueue") from None


def _mount_queues():
    """Attached nowhere: it is gone when it is closed."""
    context = _syscall(FSOPEN, b"mqueue", 1)
    try:
        _syscall(FSCONFIG, context, FSCONFIG_CMD_CREATE, None, None, 0)
        mount = _syscall(FSMOUNT, context, 1, 0)
    finally:
        os.close(context)
    try:
        return os.open(".", DIRECTORY, dir_fd=mount)
    finally:
        os.close(mount)


def _clear_keys(uid):
    """In a process of the user's: its keyrings go by the real uid. They live on when all its processes are gone."""
    reader, writer = os.pipe()
    pid = children.fork()
    if pid == 0:
        _run_as(uid, writer)
    os.close(writer)
    with os.fdopen(reader) as file:
        trouble = file.read()
    failed = os.waitpid(pid, 0)[1] != 0
    return [f"keyrings cannot be cleared: {trouble}"] if failed else []


def _run_as(uid, writer):
    """Never returns."""
    code = 1
    try:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        _clear_own_keys()
        code = 0
    except Exception as error:
        os.write(writer, str(error).encode())
    finally:
        os._exit(code)


def _clear_own_keys():
    machine = os.uname().machine
    if machine not in KEYCTL:
        raise RuntimeError(f"not known how on {machine}")
    for keyring in (USER_KEYRING, USER_SESSION_KEYRING):
        _keyctl(KEYCTL[machine], KEYCTL_CLEAR, keyring)
    persistent = _keyctl(KEYCTL[machine], KEYCTL_GET_PERSISTENT, -1, PROCESS_KEYRING)
    if persistent is not None:
        _keyctl(KEYCTL[machine], KEYCTL_CLEAR, persistent)


def _keyctl(*arguments):
    try:
        return _syscall(*arguments)
    except OSError as error:
        if error.errno in UNAVAILABLE:
            return None
        raise


def _syscall(number, *arguments):
    """Raises OSError."""
    result = _libc.syscall(ctypes.c_long(number), *(ctypes.c_long(value) if isinstance(value, int) else value for value in arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
