"""ServiceUse of lib/domain/agent.ts, checked at the door."""

import re
from dataclasses import dataclass, replace

from .faults import INVALID, Fault
from .fields import Fields
from .layout import LONGEST_SOCKET_PATH
from .spec_parts import (
    Backoff,
    Limits,
    Readiness,
    Stop,
    parse_backoff,
    parse_command,
    parse_exec,
    parse_files,
    parse_limits,
    parse_readiness,
    parse_stop,
)

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
READINESS = ("notify", "process", "socket")
MOST_SERVICES = 8


@dataclass(frozen=True)
class ServiceSpec:
    name: str
    command: tuple
    env: dict
    files: tuple
    readiness: Readiness
    stop: Stop
    backoff: Backoff
    limits: Limits


@dataclass(frozen=True)
class ServiceUse:
    """A service, and the programs that it takes to have a bot use it."""

    service: ServiceSpec
    provision: tuple
    deprovision: tuple
    archive: tuple

    @property
    def name(self):
        return self.service.name


def parse_services(fields):
    """The uses in a spec. Raises INVALID."""
    uses = tuple(_use(Fields(value, "services")) for value in fields.list("services"))
    if len(uses) > MOST_SERVICES or len({use.name for use in uses}) < len(uses):
        raise Fault(INVALID, f"services must be at most {MOST_SERVICES}, each of another name")
    return uses


def _use(fields):
    return ServiceUse(
        service=_service(fields.fields("service")),
        provision=_steps(fields, "provision"),
        deprovision=_steps(fields, "deprovision"),
        archive=_steps(fields, "archive"),
    )


def _service(fields):
    return ServiceSpec(
        name=fields.text("name", NAME),
        command=parse_command(fields),
        env=fields.environment("env"),
        files=parse_files(fields),
        readiness=_readiness(fields.fields("readiness")),
        stop=parse_stop(fields.fields("stop")),
        backoff=parse_backoff(fields.fields("backoff")),
        limits=parse_limits(fields.fields("limits")),
    )


def _readiness(fields):
    readiness = parse_readiness(fields, READINESS)
    if readiness.kind != "socket":
        return readiness
    path = fields.text("path")
    if not path.startswith("/"):
        raise Fault(INVALID, f"the socket {path!r} must be an absolute path")
    excess = len(path.encode()) - LONGEST_SOCKET_PATH
    if excess > 0:
        raise Fault(INVALID, f"the socket {path!r} is {excess} bytes too long: choose a shorter directory")
    return replace(readiness, path=path)


def _steps(fields, name):
    return tuple(parse_exec(Fields(step, name)) for step in fields.list(name))
