"""Errors of the wire protocol. Their numbers are part of the contract in lib/README.md."""

from supervisor.xmlrpc import RPCError

STALE_GENERATION = 1001
INVALID = 1002
CONFLICT = 1003
NOT_FOUND = 1004
INTERNAL = 1005
RESET_FAILED = 1006
SERVICE_FAILED = 1007


class Fault(RPCError):
    """Answered to the caller as an XML-RPC fault: `code` is one of the above, `text` a sentence for people."""

    def __init__(self, code, text):
        Exception.__init__(self, text)
        self.code = code
        # supervisord counts characters for Content-Length, so anything but ASCII would cut the answer short.
        self.text = text.encode("ascii", "backslashreplace").decode().replace("\x00", "\\0")


def from_oserror(error, what):
    """An INTERNAL fault that says what was being done when the system refused."""
    path = f" ({error.filename})" if error.filename else ""
    return Fault(INTERNAL, f"{what}: {error.strerror or error}{path}")
