"""Where cgroups are, and where in them this process is, read from the kernel's own tables. Pure."""

import os
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Tree:
    """One hierarchy: version 1 has one for each controller or for a few, version 2 one for all."""

    version: int
    mount: str
    own: str  # our cgroup below the mount, "/" for the mount itself

    @property
    def path(self):
        return os.path.normpath(self.mount + self.own)


def find_trees(cgroup, mountinfo):
    """{controller: Tree} from the texts of /proc/self/cgroup and /proc/self/mountinfo; version 2 under the name "unified".

    A hierarchy that is not mounted here, or mounted so that our own cgroup cannot be seen in it, is left out.
    """
    # Of mounts at one place the last is the one that is seen.
    mounts = {mount.point: mount for mount in map(_mount, mountinfo.splitlines())}.values()
    trees = {}
    for line in cgroup.splitlines():
        number, names, path = line.split(":", 2)
        controllers = ["unified"] if number == "0" and not names else names.split(",")
        for controller in controllers:
            if tree := _tree(controller, path, mounts):
                trees[controller] = tree
    return trees


@dataclass(frozen=True)
class _Mount:
    root: str
    point: str
    controllers: tuple  # empty for anything but cgroups


def _mount(line):
    fields, _, rest = line.partition(" - ")
    kind, _, options = rest.split(" ", 2)
    root, point = map(_unescape, fields.split(" ")[3:5])
    names = {"cgroup": options.split(","), "cgroup2": ["unified"]}.get(kind, [])
    return _Mount(root, point, tuple(names))


def _tree(controller, path, mounts):
    for mount in mounts:
        # A path above the root of our namespace begins with "/..": it cannot be reached from here.
        if controller not in mount.controllers or "/.." in (path[:3], mount.root[:3]):
            continue
        top = mount.root.rstrip("/")
        if f"{path}/".startswith(f"{top}/"):
            return Tree(2 if controller == "unified" else 1, mount.point, path.removeprefix(top) or "/")
    return None


def _unescape(text):
    """The kernel writes blanks and the like as three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
