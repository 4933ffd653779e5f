"""Who listens on which TCP port.

Asked of the kernel by netlink for listening sockets alone, which takes a fraction of a millisecond. /proc/net/tcp tells the
same but walks through every connection there could be, more than ten milliseconds: it is the way where netlink is not there.
"""

import ipaddress
import socket
import struct
from collections import namedtuple

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
REQUEST_DUMP = 0x301
DONE, ERROR = 3, 2
LISTEN = 10

HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, pid
QUESTION = struct.Struct("=BBBBI48x")  # inet_diag_req_v2: family, protocol, extensions, padding, states, id
ANSWER = struct.Struct("=B3x2s2x16s40xII")  # inet_diag_msg: family, port and address in network order, uid, inode

Listener = namedtuple("Listener", "uid inode address")


def listeners():
    """{port: [Listener]} of all listening TCP sockets."""
    try:
        return by_netlink()
    except OSError:
        return by_procfs()


def reached(sockets, host):
    """Those of the sockets that callers of a bot meet which was told to listen at `host`."""
    return [each for each in sockets if _meets(_plain(ipaddress.ip_address(each.address)), host)]


def by_netlink():
    found = {}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG) as sock:
        for family in (socket.AF_INET, socket.AF_INET6):
            question = QUESTION.pack(family, socket.IPPROTO_TCP, 0, 0, 1 << LISTEN)
            sock.send(HEADER.pack(HEADER.size + len(question), SOCK_DIAG_BY_FAMILY, REQUEST_DUMP, family, 0) + question)
            for message in _messages(sock):
                kind, port, address, uid, inode = ANSWER.unpack_from(message)
                packed = address[:4] if kind == socket.AF_INET else address
                found.setdefault(int.from_bytes(port, "big"), []).append(Listener(uid, inode, packed))
    return found


def by_procfs():
    found = {}
    for name in ("tcp", "tcp6"):
        try:
            with open(f"/proc/net/{name}", "rb") as file:
                lines = file.read().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split(None, 10)
            if int(fields[3], 16) == LISTEN:
                address, port = fields[1].rsplit(b":", 1)
                packed = b"".join(bytes.fromhex(address[at : at + 8].decode())[::-1] for at in range(0, len(address), 8))
                found.setdefault(int(port, 16), []).append(Listener(int(fields[7]), int(fields[9]), packed))
    return found


def _plain(address):
    return getattr(address, "ipv4_mapped", None) or address


def _meets(address, wanted):
    """A bot at all addresses is called at one that others can reach; one at loopback, only there."""
    if address.is_unspecified:
        return True
    return not address.is_loopback if wanted.is_unspecified else address == wanted


def _messages(sock):
    """The messages of one dump. Raises OSError when the kernel refuses."""
    while True:
        data = sock.recv(1 << 16)
        while data:
            length, kind, _, _, _ = HEADER.unpack_from(data)
            body, data = data[HEADER.size : length], data[(length + 3) & ~3 :]
            if kind == DONE:
                return
            if kind == ERROR:
                raise OSError(-struct.unpack_from("=i", body)[0], "netlink refused")
            yield body
