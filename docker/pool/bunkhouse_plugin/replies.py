"""Deferred XML-RPC answers that leave at once.

supervisord asks a deferred answer whether it is done every `delay` seconds, through the channel it will be sent on. A short
delay would be a busy loop, so ours never asks by itself: when the promise is done we clear the channel's delay, and the
next turn of the loop sends the answer. A client that hung up has no channel any more, and nothing is left behind.
"""

from supervisor.http import NOT_DONE_YET
from supervisor.medusa import asyncore_25 as asyncore

NEVER = 1e9


def deferred(promise):
    """What an RPC method returns to answer later with the promise's result."""

    def answer():
        return promise.result() if promise.done else NOT_DONE_YET

    answer.delay = NEVER
    promise.then(lambda _: _send(answer))
    return answer


def _send(answer):
    for channel in asyncore.socket_map.values():
        waiting = getattr(channel, "producer_fifo", None)
        if waiting is not None and any(getattr(producer, "callback", None) is answer for producer in waiting.list):
            channel.delay = 0
