"""A cgroup for each slot, made from inside, so that one bot's memory, processes and work are not its neighbours'.

Nothing here raises and nothing waits: where cgroups cannot be made, bots run without, and `observe` says why.
"""

import atexit
import hashlib
import itertools
import os
from dataclasses import replace

from . import cgroup_owners
from .cgroup_ground import own_trees, prepare
from .cgroup_settings import PEAK, Kills, cpu, memory_wall, read_kills, settings
from .cgroup_v2 import write
from .units import amount


class Cgroups:
    def __init__(self, directory):
        """`directory` of the container, which several may share our own cgroup with."""
        name = f"{cgroup_owners.PREFIX}{os.path.basename(directory)[:64]}-{hashlib.sha256(directory.encode()).hexdigest()[:8]}"
        trees = own_trees()
        self._groups, self._reason = prepare(trees, name)  # {controller: (version, path)}
        self._own_memory = trees.get("memory") or trees.get("unified")
        self._applied = {}  # slot -> what its groups were set to
        self._seen = {}  # what _place says -> Kills
        self._weights = {}
        claimed = {path for _, path in self._groups.values()}
        for base in {os.path.dirname(path) for path in claimed}:
            cgroup_owners.sweep(base, claimed)
        atexit.register(self._leave)

    def observe(self):
        """AgentObservation.cgroups."""
        return {"made": bool(self._groups), "reason": self._reason}

    def admit(self, slot, limits):
        """Makes the slot's cgroup ready for a new process. (Directories it has to enter, what went wrong or "")."""
        try:
            if self._applied.get(slot) != limits:
                self._renew(slot, limits)
            self._begin_count(slot)
        except OSError as error:
            # Whatever happened to it, it may not be taken for as it should be.
            self._applied.pop(slot, None)
            return (), f"its cgroup cannot be made: {error.strerror} ({error.filename})"
        return tuple(self._folders(slot)), ""

    def adjust(self, slot, limits):
        """New limits for a living bot. Less memory than before waits for its next start: the kernel would end it at once."""
        before = self._applied.get(slot)
        if before is None or before == limits:
            return
        less = (memory_wall(limits) or float("inf")) < (memory_wall(before) or float("inf"))
        try:
            for controller in self._groups:
                if controller != "memory" or not less:
                    # Of memory, version 1 keeps the first limit below the second: more means from the last to the first.
                    self._set(slot, controller, settings(controller, self._groups[controller][0], limits)[::-1])
            self._applied[slot] = replace(limits, pss_bytes=before.pss_bytes) if less else limits
        except OSError:
            self._applied.pop(slot, None)
        self._weigh(slot, limits.cpu_weight)

    def drop(self, slot):
        """The slot is free."""
        self._applied.pop(slot, None)
        self._seen.pop(self._place(slot), None)
        for folder in self._folders(slot):
            cgroup_owners.remove(folder)
        self._weigh(slot, None)

    def explain(self, slot, limits):
        """Why a process of the slot was killed with SIGKILL, if it was the kernel for want of memory; or ""."""
        place = self._place(slot)
        before, now = self._seen.get(place, Kills(0, 0)), self._kills(place)  # a group made since counts from nothing
        self._seen[place] = now
        if now.ended <= before.ended:
            return ""
        wall = memory_wall(limits)
        if place is None or wall is None or now.full <= before.full:
            return "killed by the kernel: its container or the machine ran out of memory"
        return f"killed by the kernel: over its memory limit of {amount(wall)}"

    def _renew(self, slot, limits):
        """A fresh group, because lowering the limit of a used one may take the kernel long."""
        for folder in self._folders(slot):
            cgroup_owners.remove(folder)
            os.makedirs(folder, exist_ok=True)
        for controller, (version, _) in self._groups.items():
            self._set(slot, controller, settings(controller, version, limits))
        self._applied[slot] = limits
        self._weigh(slot, limits.cpu_weight)

    def _begin_count(self, slot):
        if "memory" in self._groups and self._groups["memory"][0] == 1:
            self._set(slot, "memory", [PEAK])
        place = self._place(slot)
        self._seen[place] = self._kills(place)

    def _place(self, slot):
        """Whose kills are counted for a slot: of its own group, or (None) of all there is in the container."""
        if "memory" in self._groups:
            return self._groups["memory"][0], self._folder(slot, "memory")
        # Somebody outside may have made one, in our own cgroup.
        path = self._own_memory and os.path.join(self._own_memory.path, f"{cgroup_owners.SLOT}{slot}")
        return (self._own_memory.version, path) if path and os.path.isdir(path) else None

    def _set(self, slot, controller, wanted):
        for setting in wanted:
            try:
                write(self._folder(slot, controller), setting.file, setting.text)
            except FileNotFoundError:
                if setting.needed:
                    raise

    def _weigh(self, slot, weight):
        """The container gets as much of the processor as its bots together, as if each were on its own."""
        if weight is None:
            self._weights.pop(slot, None)
        else:
            self._weights[slot] = weight
        if "cpu" not in self._groups or not self._weights:
            return
        version, path = self._groups["cpu"]
        setting = cpu(version, sum(self._weights.values()))
        try:
            write(path, setting.file, setting.text)
        except OSError:
            pass  # an equal share of the machine is no wall

    def _kills(self, place):
        if place is not None:
            return _kills_of(*place)
        tree = self._own_memory
        if tree is None:
            return Kills(0, 0)
        if tree.version == 2:
            return _kills_of(2, tree.path)
        # Version 1 counts in each group only what died in itself.
        return Kills(sum(_kills_of(1, path).ended for path in [tree.path, *_below(tree.path)]), 0)

    def _folder(self, slot, controller):
        return os.path.join(self._groups[controller][1], f"{cgroup_owners.SLOT}{slot}")

    def _folders(self, slot):
        return list(dict.fromkeys(self._folder(slot, controller) for controller in self._groups))

    def _leave(self):
        for _, path in self._groups.values():
            cgroup_owners.remove_slots(path)
            cgroup_owners.remove(path)


def _kills_of(version, folder):
    def read(name):
        try:
            with open(os.path.join(folder, name)) as file:
                return file.read()
        except OSError:
            return ""

    return read_kills(version, read)


def _below(path):
    """Groups in a group; of very many only some, for this is done in the loop."""
    try:
        with os.scandir(path) as entries:
            return [entry.path for entry in itertools.islice(entries, 200) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
