"""BotSpec of lib/domain/agent.ts, checked at the door."""

import hashlib
import json
import re
from dataclasses import dataclass
from weakref import WeakValueDictionary

from .fields import Fields
from .service_spec import parse_services
from .spec_parts import (
    FILE_PATH,
    Backoff,
    Limits,
    Readiness,
    Stop,
    parse_backoff,
    parse_command,
    parse_files,
    parse_limits,
    parse_readiness,
    parse_stop,
)

INSTANCE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
ENTRY = re.compile(rf"{MODULE.pattern}:{MODULE.pattern}")
READINESS = ("notify", "listen", "process")


@dataclass(frozen=True)
class Prefork:
    """What a zygote is made from. Two of one `key` are the same object."""

    key: str
    entry: str
    python: str
    preload: tuple
    warmup: str | None
    env: tuple
    merge: bool
    immortal: bool


@dataclass(frozen=True)
class Spec:
    bot: str
    generation: int
    restart_generation: int
    slot: int
    port: int
    host: object  # the address it is told to listen at
    run: bool
    command: tuple
    env: dict
    directories: tuple
    files: tuple
    readiness: Readiness
    stop: Stop
    backoff: Backoff
    limits: Limits
    prefork: Prefork | None
    services: tuple  # of ServiceUse
    secrets: tuple  # texts that must not be shown
    marks: dict  # of its parts, told again by whoever asks what a process was started with


GENERATION = (0, 2**53)


def parse_spec(value):
    """A Spec from decoded JSON. Raises INVALID."""
    fields = Fields(value)
    return Spec(
        bot=fields.text("bot", INSTANCE_ID),
        generation=fields.integer("generation", *GENERATION),
        restart_generation=fields.integer("restartGeneration", *GENERATION),
        slot=fields.integer("slot", 0, 9999),
        port=fields.integer("port", 1, 65535),
        host=fields.address("host"),
        run=fields.boolean("run"),
        command=parse_command(fields),
        env=fields.environment("env"),
        directories=fields.texts("directories", FILE_PATH),
        files=parse_files(fields),
        readiness=parse_readiness(fields.fields("readiness"), READINESS),
        stop=parse_stop(fields.fields("stop")),
        backoff=parse_backoff(fields.fields("backoff")),
        limits=parse_limits(fields.fields("limits")),
        prefork=None if fields["prefork"] is None else _prefork(fields["prefork"]),
        services=parse_services(fields),
        secrets=fields.texts("secrets"),
        marks=fields.environment("marks"),
    )


# Thousands of names, the same for all bots of a template: checked, kept and hashed once.
_preforks = WeakValueDictionary()


def _prefork(value):
    key = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
    known = _preforks.get(key)
    if known is None:
        known = _preforks[key] = _new_prefork(key, Fields(value, "prefork"))
    return known


def _new_prefork(key, fields):
    return Prefork(
        key=key,
        entry=fields.text("entry", ENTRY),
        python=fields.text("python"),
        preload=fields.texts("preload", MODULE),
        warmup=None if fields["warmup"] is None else fields.text("warmup"),
        env=tuple(sorted(fields.environment("env").items())),
        merge=fields.boolean("merge"),
        immortal=fields.boolean("immortal"),
    )
