"""What a zygote is made from, and whether a bot may come from it. No effects but reading."""

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass

# Read when Python or the C library starts, and never again.
AT_START = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC_", "GLIBC_")
OFF = "BUNKHOUSE_PREFORK"


class Unfit(Exception):
    """Why a bot cannot come from a zygote; a sentence for people."""


@dataclass(frozen=True)
class Recipe:
    entry: str
    preload: tuple
    warmup: str | None
    merge: bool
    immortal: bool
    script: str
    python: str
    path: str
    env: tuple

    @property
    def key(self):
        return hashlib.sha256(self.encode()).hexdigest()[:12]

    def encode(self):
        return json.dumps(asdict(self), sort_keys=True).encode()


def recipe_of(prefork, command, env):
    """The Recipe for a bot with that environment. Raises Unfit."""
    if env.get(OFF) == "off":
        raise Unfit(f"switched off for this bot by {OFF}=off")
    _check_variables(env, dict(prefork.env))
    path = env["PATH"]
    if os.path.dirname(command[0]) and not os.path.isabs(command[0]):
        raise Unfit(f"{command[0]} is in the bot's own directory: name the program by its full path, or by a name in PATH")
    script = _find(command[0], path)
    python = _find(prefork.python, path)
    interpreter = _interpreter(script, path)
    if interpreter is None or not _is_same(interpreter, python):
        runs = f"runs under {interpreter}" if interpreter else "is no Python script"
        raise Unfit(f"{script} {runs}, the zygote would under {python}: put both into one venv and that first in PATH, or set prefork.python")
    return Recipe(prefork.entry, prefork.preload, prefork.warmup, prefork.merge, prefork.immortal, script, interpreter, path, prefork.env)


def _check_variables(env, given):
    """What must be known at the start of Python, and is not what the zygote was started with."""
    base = {"LANG": "C.UTF-8", **given}
    for name in env.keys() | given.keys():
        matters = name in given or name.startswith(AT_START)
        if matters and env.get(name, base.get(name)) != base.get(name):
            raise Unfit(f"its variable {name} works only at the start of Python")


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
