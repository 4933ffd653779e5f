"""Preparing cgroups of version 2: whose place it is to make them, and the rule that a group with children has no processes.

A group gives a controller to its children only when no process is in it itself, the root of the machine excepted. So
supervisord, and in a container everything else, first moves into a leaf beside the bots' groups.
"""

import errno
import os
from dataclasses import dataclass

from .cgroup_owners import LEAF, claim

# While processes are moved, they go on forking.
ATTEMPTS = 10
DELEGATE = ("user.delegate", "trusted.delegate")


class Unfit(Exception):
    """Why cgroups cannot be made here, and what to do."""


@dataclass(frozen=True)
class Facts:
    """About our own cgroup."""

    own: str  # as Tree.own
    is_root: bool  # of the whole machine
    delegated: bool  # systemd has given it away
    parent_delegated: bool
    systemd: bool  # runs on this machine, as far as can be seen


@dataclass(frozen=True)
class Base:
    """Where to make groups, and who has to leave it for that: `all`, `self` or `nobody`."""

    own: str
    leaves: str


def choose_base(facts):
    """The Base. Raises Unfit. Pure."""
    parent, name = os.path.split(facts.own)
    if name == LEAF:
        return Base(parent, "all" if parent == "/" else "self")
    if facts.is_root:
        return Base(facts.own, "nobody")
    if facts.own == "/":
        return Base("/", "all")  # the root of a namespace: everything in it belongs to this container
    if facts.parent_delegated:
        return Base(parent, "nobody")  # systemd put the service into a leaf of its own
    if facts.delegated:
        # With controllers given to children, systemd could not put the service's next main process into the group.
        raise Unfit(f"systemd could not start the service again: give its unit DelegateSubgroup=supervisor ({facts.own}; takes systemd 254)")
    if facts.systemd:
        raise Unfit(f"systemd owns {facts.own}: give the unit Delegate=yes and DelegateSubgroup=supervisor")
    return Base(facts.own, "self")


def prepare(tree, name, wanted):
    """Makes the group `name` whose children have what there is of the `wanted` controllers.

    Returns (its path, {controller}). Raises Unfit or OSError.
    """
    base = choose_base(_facts(tree))
    path = os.path.normpath(tree.mount + base.own)
    there = wanted & set(_read(path, "cgroup.controllers").split())
    if not there:
        raise Unfit(f"no controller of memory, pids and cpu is delegated to {path}")
    folder = os.path.join(path, name)
    claim(folder)
    _enable(path, there, base.leaves)
    _enable(folder, there, "nobody")
    if base.leaves == "all":
        _spare_the_others(path)
    return folder, there


def _facts(tree):
    path = tree.path
    return Facts(
        own=tree.own,
        is_root=not os.path.exists(os.path.join(path, "cgroup.type")),
        delegated=_is_delegated(path),
        parent_delegated=tree.own != "/" and _is_delegated(os.path.dirname(path)),
        systemd=os.path.isdir("/run/systemd/system"),
    )


def _is_delegated(path):
    for name in DELEGATE:
        try:
            return os.getxattr(path, name) == b"1"
        except OSError:
            continue
    return False


def _enable(folder, controllers, leaves):
    for _ in range(ATTEMPTS):
        missing = controllers - set(_read(folder, "cgroup.subtree_control").split())
        try:
            for controller in sorted(missing):
                write(folder, "cgroup.subtree_control", f"+{controller}")
            return
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
        if not _leave(folder, leaves):
            break
    raise Unfit(f"other processes are in {folder}: start the supervisor in a cgroup of its own")


def _leave(folder, leaves):
    """Moves into the leaf who has to. Whether anybody did."""
    leaf = os.path.join(folder, LEAF)
    os.makedirs(leaf, exist_ok=True)
    inside = [int(pid) for pid in _read(folder, "cgroup.procs").split()]
    moved = False
    for pid in inside:
        if pid == 0 or (leaves != "all" and not (leaves == "self" and pid == os.getpid())):
            continue  # 0 is a process that cannot be seen from here
        try:
            write(leaf, "cgroup.procs", str(pid))
            moved = True
        except ProcessLookupError:
            pass
    return moved


def _spare_the_others(path):
    """Kubernetes has the kernel end all processes of a container when one is too much for its memory. One is enough."""
    try:
        write(path, "memory.oom.group", "0")
    except OSError:
        pass  # not ours to say


def write(folder, name, text):
    """Raises OSError."""
    with open(os.path.join(folder, name), "wb", buffering=0) as file:
        file.write(text.encode())


def _read(folder, name):
    with open(os.path.join(folder, name)) as file:
        return file.read()
