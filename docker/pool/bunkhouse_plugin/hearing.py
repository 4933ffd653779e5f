"""What a bot says on its notify socket, as far as it is the bot who says it."""

import os
import time

LONGEST_STATUS = 500
TELL_SECONDS = 1


class Hearing:
    def __init__(self, process, container):
        self._process, self._container = process, container
        self._telling = None
        self._told = 0.0  # when its last new status was told

    def heard(self, pid, uid, fields):
        """Notes a message. Whether it says that the bot is ready."""
        process = self._process
        if not process.pid or not self._is_from_bot(pid, uid):
            return False
        if "STATUS" in fields:
            self._status(fields["STATUS"][:LONGEST_STATUS])
        if fields.get("WATCHDOG") == "1" or fields.get("RELOADING") == "1":
            process.life.heard = time.monotonic()
        if fields.get("STOPPING") == "1" and process.life.ending is None:
            process.reason = "says that it is stopping"
        return fields.get("READY") == "1"

    def _status(self, status):
        """A new status is a change; of a bot that never stops changing it, one a second is told."""
        if status == self._process.life.status:
            return
        self._process.life.status = status
        if self._telling is None:
            self._telling = self._container.loop.at(max(time.monotonic(), self._told + TELL_SECONDS), self._tell)

    def _tell(self):
        self._telling = None
        self._told = time.monotonic()
        self._container.changes.touch(self._process.bot)

    def _is_from_bot(self, pid, uid):
        """By its uid, where the bot has its own, or else by its session."""
        mine = self._process.place.uid
        if mine is not None:
            return uid == mine
        try:
            return pid == self._process.pid or os.getsid(pid) == self._process.pid
        except ProcessLookupError:
            return False
