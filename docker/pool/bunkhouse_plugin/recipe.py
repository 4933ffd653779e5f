"""What a zygote is made from, and whether a bot may come from it. No effects but reading."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass

from .spec import Prefork

# Read when Python or the C library starts, and never again.
AT_START = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC_", "GLIBC_")
OFF = "BUNKHOUSE_PREFORK"


class Unfit(Exception):
    """Why a bot cannot come from a zygote; a sentence for people."""


@dataclass(frozen=True)
class Recipe:
    prefork: Prefork
    script: str
    python: str
    path: str
    key: str

    def encode(self):
        """What the zygote reads."""
        prefork = self.prefork
        wanted = {"entry": prefork.entry, "preload": prefork.preload, "warmup": prefork.warmup, "merge": prefork.merge, "immortal": prefork.immortal}
        return json.dumps({**wanted, "script": self.script}).encode()


def recipe_of(prefork, command, env, path, bots):
    """The Recipe for a bot with that environment, in a container with that PATH. Nothing below `bots`: the zygote may be root. Raises Unfit."""
    if env.get(OFF) == "off":
        raise Unfit(f"switched off for this bot by {OFF}=off")
    given = {"LANG": "C.UTF-8", "PATH": path, **dict(prefork.env)}
    _check_variables(env, given, {"PATH", *dict(prefork.env)})
    if os.path.dirname(command[0]) and not os.path.isabs(command[0]):
        raise Unfit(f"{command[0]} is in the bot's own directory: name the program by its full path, or by a name in PATH")
    script = _find(command[0], given["PATH"])
    python = _find(prefork.python, given["PATH"])
    for found in (script, python):
        _check_place(found, bots)
    interpreter = _interpreter(script, given["PATH"])
    if interpreter is None or not _is_same(interpreter, python):
        runs = f"runs under {interpreter}" if interpreter else "is no Python script"
        raise Unfit(f"{script} {runs}, the zygote would under {python}: put both into one venv and that first in PATH, or set prefork.python")
    key = hashlib.sha256("\0".join([prefork.key, script, interpreter, given["PATH"]]).encode()).hexdigest()[:12]
    return Recipe(prefork, script, interpreter, given["PATH"], key)


def _check_place(path, bots):
    """A bot could change what lies there, and the zygote would run it with more rights than the bot has."""
    places = (os.path.normpath(path), os.path.realpath(path))
    roots = tuple(os.path.join(root, "") for root in (bots, os.path.realpath(bots)))
    if any(place.startswith(roots) for place in places):
        raise Unfit(f"{path} is in a bot's directory, from which no zygote is made: install it elsewhere")


def _check_variables(env, given, names):
    """What must be known at the start of Python, and is not what the zygote was started with. `names`: those that matter whatever they are called."""
    for name in env.keys() | names:
        matters = name in names or name.startswith(AT_START)
        if matters and env.get(name, given.get(name)) != given.get(name):
            raise Unfit(f"its variable {name} works only at the start of Python: prefork.env of its template must have the same")


def _find(program, path):
    found = shutil.which(program, path=path)
    if found is None:
        raise Unfit(f"{program} is not found in PATH ({path})")
    return found


def _interpreter(script, path):
    """Program in the first line of a script, or None."""
    try:
        with open(script, "rb") as file:
            line = file.readline(512)
    except OSError:
        return None
    words = line[2:].decode(errors="replace").split() if line.startswith(b"#!") else []
    if len(words) == 2 and os.path.basename(words[0]) == "env":
        return shutil.which(words[1], path=path)
    return words[0] if len(words) == 1 and "python" in os.path.basename(words[0]) else None


def _is_same(one, other):
    """The same executable by a name in the same folder: of a venv, python and python3 are links to the same one elsewhere."""
    folders = (os.path.realpath(os.path.dirname(path)) for path in (one, other))
    return len(set(folders)) == 1 and os.path.realpath(one) == os.path.realpath(other)
