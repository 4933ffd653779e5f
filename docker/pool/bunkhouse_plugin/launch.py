"""From a bot's spec to what is started."""

import os
import resource

from .become import Launch


def environment_of(process):
    """All of it: supervisord's own stays out, for it may hold the password of its interface."""
    place = process.place
    return {
        "HOME": place.home,
        "USER": process.user,
        "LOGNAME": process.user,
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        **process.spec.env,
        **dict(place.variables + place.told),
    }


def what_to_launch(process, cgroups):
    """The Launch of a process; `cgroups`: directories of those it is to be in."""
    spec, place = process.spec, process.place
    return Launch(
        argv=spec.command,
        env=environment_of(process),
        directory=place.home,
        uid=place.uid,
        groups=place.groups,
        nice=spec.limits.nice,
        rlimits=tuple(_rlimits(spec.limits, own_uid=place.uid is not None)),
        parent=os.getpid(),
        cgroups=cgroups,
    )


def _rlimits(limits, own_uid):
    yield resource.RLIMIT_CORE, 0
    wanted = {
        resource.RLIMIT_DATA: limits.memory_bytes,
        resource.RLIMIT_FSIZE: limits.disk_bytes,
        resource.RLIMIT_NOFILE: limits.open_files,
        # Counted per uid: shared, one bot's processes would be held against another.
        resource.RLIMIT_NPROC: limits.processes if own_uid else None,
    }
    yield from ((kind, value) for kind, value in wanted.items() if value is not None)
