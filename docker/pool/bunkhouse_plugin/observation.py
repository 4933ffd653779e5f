"""What a bot looks like from outside: BotObservation of lib/domain/agent.ts."""

from supervisor.states import ProcessStates

STATES = {
    ProcessStates.STOPPED: "stopped",
    ProcessStates.STARTING: "starting",
    ProcessStates.RUNNING: "running",
    ProcessStates.BACKOFF: "backoff",
    ProcessStates.STOPPING: "stopping",
}
NO_SAMPLE = {"memory": None, "cpuSeconds": None, "openFiles": None}


def observe_bot(process):
    spec, life = process.spec, process.life if process.pid else None
    return {
        "bot": process.bot,
        "slot": spec.slot,
        "port": spec.port,
        "generation": spec.generation,
        "run": spec.run,
        "limits": _limits(spec.limits),
        "state": STATES[process.state],
        "pid": life and life.pid,
        "startedAt": life and life.started_at,
        "readyAt": life and life.ready_at,
        "startedGeneration": life and life.generation,
        "nextStartAt": process.next_start_at if process.state == ProcessStates.BACKOFF else None,
        "restarts": process.restarts,
        "lastExit": process.last_exit,
        "status": life.status if life else "",
        "listener": process.listener,
        **(process.allowance.used.sample or NO_SAMPLE),
        "diskBytes": process.allowance.used.disk,
        "spawn": life and life.spawn,
        "marks": life and life.marks,
        "reason": process.reason,
        "warning": process.allowance.warning,
    }


def observe_service(process):
    """ServiceObservation of lib/domain/agent.ts."""
    life = process.life if process.pid else None
    return {
        "name": process.name,
        "state": STATES[process.state],
        "pid": life and life.pid,
        "startedAt": life and life.started_at,
        "readyAt": life and life.ready_at,
        "nextStartAt": process.next_start_at if process.state == ProcessStates.BACKOFF else None,
        "restarts": process.restarts,
        "lastExit": process.last_exit,
        "status": life.status if life else "",
        **(process.allowance.used.sample or NO_SAMPLE),
        "diskBytes": process.allowance.used.disk,
        "outdated": process.outdated,
        "reason": process.reason,
        "warning": process.allowance.warning,
    }


def _limits(limits):
    return {
        "memoryBytes": limits.memory_bytes,
        "pssBytes": limits.pss_bytes,
        "diskBytes": limits.disk_bytes,
        "cpuWeight": limits.cpu_weight,
        "openFiles": limits.open_files,
        "processes": limits.processes,
        "nice": limits.nice,
    }
