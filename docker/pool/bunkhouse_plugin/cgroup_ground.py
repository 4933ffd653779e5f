"""Where a container's cgroups can be made, or why they cannot."""

import errno
import os

from . import cgroup_v2
from .cgroup_owners import claim
from .cgroup_settings import CONTROLLERS
from .cgroup_trees import find_trees
from .cgroup_v2 import Unfit


def own_trees():
    """{controller: Tree} of this process."""
    try:
        with open("/proc/self/cgroup") as cgroup, open("/proc/self/mountinfo") as mountinfo:
            return find_trees(cgroup.read(), mountinfo.read())
    except OSError:
        return {}


def prepare(trees, name):
    """Makes the group `name` and holds it. ({controller: (version, path)}, why some or all are missing)."""
    groups, reasons = {}, {}
    for controller in CONTROLLERS:
        if tree := trees.get(controller):
            path = os.path.join(tree.path, name)
            try:
                claim(path)
                groups[controller] = (1, path)
            except OSError as error:
                reasons[controller] = _describe(error)
    missing = set(CONTROLLERS) - set(trees)
    if missing and "unified" in trees:
        try:
            path, there = cgroup_v2.prepare(trees["unified"], name, missing)
            groups |= dict.fromkeys(sorted(there), (2, path))
            missing -= there
            reasons |= dict.fromkeys(missing, "not delegated to this cgroup")
        except Unfit as unfit:
            reasons |= dict.fromkeys(missing, str(unfit))
        except OSError as error:
            reasons |= dict.fromkeys(missing, _describe(error))
    else:
        reasons |= dict.fromkeys(missing, "no cgroups are mounted here")
    return groups, _summary(reasons)


def _summary(reasons):
    """One sentence for each different reason."""
    together = {}
    for controller in CONTROLLERS:
        if controller in reasons:
            together.setdefault(reasons[controller], []).append(controller)
    return "; ".join(f"no {', '.join(names)}: {reason}" for reason, names in together.items())


def _describe(error):
    if error.errno == errno.EROFS:
        return "cgroups are read-only here: give the container writable cgroups (Docker 28 and later), or limit its bots from outside"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{error.filename} may not be written: run as root, or have it delegated to this user"
    return f"{error.strerror} ({error.filename})"
