"""Whether a service accepts connections."""

import os
import socket
import struct

from .users import acting_as

CREDENTIALS = struct.Struct("iii")


def accepts(path, uid):
    """Whether somebody of that user (None: ours) accepts connections on that Unix socket. Never waits."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        try:
            # As that user, whose directory it is in: root need not be let in there.
            with acting_as(uid):
                sock.connect(path)
            _, owner, _ = CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
        except OSError:
            return False
        return owner == (os.geteuid() if uid is None else uid)
