"""A slot's notify socket: the receiving end of sd_notify."""

import os
import socket
import struct

from .loop import Dispatcher

LONGEST = 4096
CREDENTIALS = struct.Struct("iii")
# Per turn of the loop: a flood from one bot must not hold up the others.
AT_ONCE = 32


class NotifySocket(Dispatcher):
    def __init__(self, folder, path, uid, receive, logger):
        """`receive(pid, uid, fields)` gets each message with its sender's credentials, which the kernel vouches for."""
        _make_folder(folder, uid)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        if os.path.lexists(path):
            os.unlink(path)
        sock.bind(path)
        if uid is not None:
            os.chown(path, 0, uid)
        os.chmod(path, 0o660 if uid is not None else 0o600)
        super().__init__(sock, logger)
        self._receive = receive

    def handle_read_event(self):
        for _ in range(AT_ONCE):
            try:
                message, extra, _, _ = self.socket.recvmsg(LONGEST, socket.CMSG_SPACE(CREDENTIALS.size))
            except BlockingIOError:
                return
            for level, kind, data in extra:
                if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                    pid, uid, _ = CREDENTIALS.unpack(data)
                    self._receive(pid, uid, _fields(message))


def _make_folder(folder, uid):
    """root's, passable for the slot's group alone: the bot reaches its socket but cannot put anything in its place."""
    os.makedirs(folder, exist_ok=True)
    if uid is not None:
        os.chown(folder, 0, uid)
    os.chmod(folder, 0o710 if uid is not None else 0o700)


def _fields(message):
    lines = message.decode(errors="replace").split("\n")
    return dict(line.split("=", 1) for line in lines if "=" in line)
