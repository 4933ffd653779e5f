"""What the specs of bots and services have in common, checked at the door."""

import re
import signal
from dataclasses import dataclass

from .faults import INVALID, Fault
from .fields import Fields

FILE_PATH = re.compile(r"(?!/)(?!.*(?:^|/)\.{0,2}(?:/|$))[A-Za-z0-9._/@ -]{1,255}")
LARGEST_FILES = 8 << 20
MOST_FILES = 500
SECONDS = (0, 365 * 86400)
STEP_SECONDS = (0.001, 3600)


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
    path: str = ""  # of its socket


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
class Exec:
    command: tuple
    stdin: str
    seconds: float


def parse_command(fields):
    command = fields.texts("command")
    if not command or not command[0]:
        raise Fault(INVALID, "command must hold at least the program to run")
    return command


def parse_exec(fields):
    return Exec(parse_command(fields), fields.text("stdin"), fields.number("timeoutSeconds", *STEP_SECONDS))


def parse_files(fields):
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


def parse_readiness(fields, kinds):
    return Readiness(
        kind=fields.choice("kind", kinds),
        startup_seconds=fields.number("startupSeconds", *SECONDS),
        watchdog_seconds=fields.number("watchdogSeconds", *SECONDS, null=True),
    )


def parse_stop(fields):
    name = fields.text("signal")
    known = {**signal.Signals.__members__, **{full[3:]: value for full, value in signal.Signals.__members__.items()}}
    if name not in known:
        raise Fault(INVALID, f"stop.signal: {name[:20]!r} is no signal; use for example SIGTERM")
    return Stop(signal=int(known[name]), grace_seconds=fields.number("graceSeconds", *SECONDS))


def parse_backoff(fields):
    return Backoff(
        min_seconds=fields.number("minSeconds", *SECONDS),
        max_seconds=fields.number("maxSeconds", *SECONDS),
        healthy_seconds=fields.number("healthySeconds", *SECONDS),
    )


def parse_limits(fields):
    return Limits(
        memory_bytes=fields.integer("memoryBytes", 1 << 20, 2**53, null=True),
        pss_bytes=fields.integer("pssBytes", 1 << 20, 2**53, null=True),
        disk_bytes=fields.integer("diskBytes", 1 << 10, 2**53, null=True),
        cpu_weight=fields.integer("cpuWeight", 1, 10_000),
        open_files=fields.integer("openFiles", 16, 1 << 30, null=True),
        processes=fields.integer("processes", 1, 1 << 22, null=True),
        nice=fields.integer("nice", 0, 19),
    )
