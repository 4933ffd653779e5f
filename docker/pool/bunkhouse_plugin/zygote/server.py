"""Waiting for orders to fork. The order says nothing about the bot: only the child reads that."""

import json
import os
import socket
from dataclasses import dataclass

DESCRIPTORS = 3


@dataclass(frozen=True)
class Request:
    """Descriptors of one bot to be: its launch (a memfd), its output, and the gate it waits at."""

    launch: int
    output: int
    gate: int


def serve(sock):
    """Forks at each order. Returns the Request in the child that is to become the bot, and None when supervisord is gone."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(sock, 16, DESCRIPTORS)
        if not message:
            return None
        try:
            if len(descriptors) != DESCRIPTORS:
                raise OSError("the order came without its descriptors")
            pid = _fork()
            if pid == 0:
                sock.close()
                return Request(*descriptors)
            answer = {"pid": pid}
        except OSError as error:
            answer = {"error": str(error)}
        for descriptor in descriptors:
            os.close(descriptor)
        sock.send(json.dumps(answer).encode())


def _fork():
    """Twice: with its parent gone, the bot becomes a child of supervisord, before its pid is told.

    The pid, or 0 in the child. Raises OSError.
    """
    reading, writing = os.pipe()
    try:
        middle = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        raise
    if middle == 0:
        try:
            pid = os.fork()
        except OSError as error:
            os.write(writing, f"error {error}".encode())
            os._exit(1)
        if pid != 0:
            os.write(writing, str(pid).encode())
            os._exit(0)
        os.close(reading)
        os.close(writing)
        return 0
    os.close(writing)
    text = os.read(reading, 200).decode()
    os.close(reading)
    os.waitpid(middle, 0)
    if not text.isdigit():
        raise OSError(text or "the fork did not come off")
    return int(text)
