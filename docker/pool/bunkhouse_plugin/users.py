"""Slots' users. They need no entry in /etc/passwd; uid and gid are the same number."""

import os
from contextlib import contextmanager

from . import children


class Users:
    def __init__(self, uid_base):
        """`uid_base`: the option's text; empty for one uid for all. Raises ValueError when it cannot be used."""
        self.base = None
        if not uid_base:
            return
        if not uid_base.isdigit() or not 1000 <= int(uid_base) <= 4_000_000_000:
            raise ValueError(f"uid_base must be a number from 1000 to 4000000000, not {uid_base!r}")
        if os.geteuid() != 0:
            raise ValueError("uid_base needs supervisord to run as root: leave it empty or run as root")
        self.base = int(uid_base)

    @property
    def isolates(self):
        return self.base is not None

    def uid(self, port):
        """uid and gid of the bot on that port; None: supervisord's own."""
        return None if self.base is None else self.base + port


@contextmanager
def acting_as(uid):
    """With the rights of that user for the time being; None changes nothing.

    Only the effective ids change, so the user's processes can neither signal nor trace us meanwhile. root needs it too: in a
    container it may not read the /proc files of other users' processes.
    """
    if uid is None:
        yield
        return
    with children.dying_as_before():
        os.setegid(uid)
        os.seteuid(uid)
    try:
        yield
    finally:
        with children.dying_as_before():
            os.seteuid(0)
            os.setegid(0)
