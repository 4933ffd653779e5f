"""BotSpec of lib/domain/agent.ts, checked at the door."""

import hashlib
import json
import re
import signal
from dataclasses import dataclass
from weakref import WeakValueDictionary

from .faults import INVALID, Fault
from .fields import Fields

INSTANCE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
FILE_PATH = re.compile(r"(?!/)(?!.*(?:^|/)\.{0,2}(?:/|$))[A-Za-z0-9._/@ -]{1,255}")
MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
ENTRY = re.compile(rf"{MODULE.pattern}:{MODULE.pattern}")
READINESS = ("notify", "listen", "process")
LARGEST_FILES = 8 << 20
MOST_FILES = 500


@dataclass(frozen=True)
class File:
    path: str
    mode: int
    always: bool
    data: str


@dataclass(frozen=True)
class Readiness:
    kind: str
    startup_seconds: float
    watchdog_seconds: float | None


@dataclass(frozen=True)
class Stop:
    signal: int
    grace_seconds: float


@dataclass(frozen=True)
class Backoff:
    min_seconds: float
    max_seconds: float
    healthy_seconds: float


@dataclass(frozen=True)
class Limits:
    memory_bytes: int | None
    pss_bytes: int | None
    disk_bytes: int | None
    cpu_weight: int
    open_files: int | None
    processes: int | None
    nice: int


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


GENERATION = (0, 2**53)
SECONDS = (0, 365 * 86400)


def parse_spec(value):
    """A Spec from decoded JSON. Raises INVALID."""
    fields = Fields(value)
    command = fields.texts("command")
    if not command or not command[0]:
        raise Fault(INVALID, "command must hold at least the program to run")
    return Spec(
        bot=fields.text("bot", INSTANCE_ID),
        generation=fields.integer("generation", *GENERATION),
        restart_generation=fields.integer("restartGeneration", *GENERATION),
        slot=fields.integer("slot", 0, 9999),
        port=fields.integer("port", 1, 65535),
        run=fields.boolean("run"),
        command=command,
        env=fields.environment("env"),
        directories=fields.texts("directories", FILE_PATH),
        files=_files(fields),
        readiness=_readiness(fields.fields("readiness")),
        stop=_stop(fields.fields("stop")),
        backoff=_backoff(fields.fields("backoff")),
        limits=_limits(fields.fields("limits")),
        prefork=None if fields["prefork"] is None else _prefork(fields["prefork"]),
    )


def _files(fields):
    files = tuple(_file(Fields(value, "files")) for value in fields.list("files"))
    if len(files) > MOST_FILES:
        raise Fault(INVALID, f"files must not be more than {MOST_FILES}")
    # Four characters of base64 are three bytes.
    if sum(len(file.data) for file in files) * 3 // 4 > LARGEST_FILES:
        raise Fault(INVALID, f"files must not hold more than {LARGEST_FILES >> 20} MiB together")
    return files


def _file(fields):
    return File(
        path=fields.text("path", FILE_PATH),
        mode=fields.integer("mode", 0, 0o777),
        always=fields.choice("when", ("always", "absent")) == "always",
        data=fields.text("data"),
    )


def _readiness(fields):
    return Readiness(
        kind=fields.choice("kind", READINESS),
        startup_seconds=fields.number("startupSeconds", *SECONDS),
        watchdog_seconds=fields.number("watchdogSeconds", *SECONDS, null=True),
    )


def _stop(fields):
    name = fields.text("signal")
    known = {**signal.Signals.__members__, **{full[3:]: value for full, value in signal.Signals.__members__.items()}}
    if name not in known:
        raise Fault(INVALID, f"stop.signal: {name[:20]!r} is no signal; use for example SIGTERM")
    return Stop(signal=int(known[name]), grace_seconds=fields.number("graceSeconds", *SECONDS))


def _backoff(fields):
    return Backoff(
        min_seconds=fields.number("minSeconds", *SECONDS),
        max_seconds=fields.number("maxSeconds", *SECONDS),
        healthy_seconds=fields.number("healthySeconds", *SECONDS),
    )


def _limits(fields):
    return Limits(
        memory_bytes=fields.integer("memoryBytes", 1 << 20, 2**53, null=True),
        pss_bytes=fields.integer("pssBytes", 1 << 20, 2**53, null=True),
        disk_bytes=fields.integer("diskBytes", 1 << 10, 2**53, null=True),
        cpu_weight=fields.integer("cpuWeight", 1, 10_000),
        open_files=fields.integer("openFiles", 16, 1 << 30, null=True),
        processes=fields.integer("processes", 1, 1 << 22, null=True),
        nice=fields.integer("nice", 0, 19),
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
