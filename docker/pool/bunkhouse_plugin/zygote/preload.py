"""Importing what the bots will need, once for all of them."""

import importlib
import os
import sys
import types

from .failure import Failure

MOST_NAMED = 5


def import_all(names):
    """Imports them in order; returns {name: why not} of those that cannot be, which a bot will import itself if it needs them."""
    missing = {}
    for name in names:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:
            missing[name] = f"{type(error).__name__}: {error}"
    return missing


def describe_missing(missing, total):
    """A list is stale when the app has changed since it was recorded: worth telling, and no harm."""
    if not missing:
        return []
    named = ", ".join(list(missing)[:MOST_NAMED])
    more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
    reason = next(iter(missing.values()))[:200]
    return [f"{len(missing)} of {total} modules of the preload list cannot be imported: {named}{more} ({reason}); record it anew"]


def find(entry):
    """The function `module:name`. Raises Failure."""
    module, _, path = entry.partition(":")
    try:
        found = importlib.import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except (Exception, SystemExit) as error:
        raise Failure(f"{entry} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise Failure(f"{entry} is not a function")
    return found


def warm_up(source):
    """Runs `warmup()` of that source; returns what it wants to be told, a list of sentences. Raises Failure."""
    if source is None:
        return []
    module = sys.modules["bunkhouse_warmup"] = types.ModuleType("bunkhouse_warmup")
    try:
        exec(compile(source, "warmup.py", "exec"), module.__dict__)
        told = module.warmup()
    except (Exception, SystemExit) as error:
        raise Failure(f"warmup() failed: {type(error).__name__}: {error}") from error
    return [f"warmup: {sentence}" for sentence in told or []]


def fingerprint(script):
    """[[path, mtime in ns]] of what changes when the app is upgraded: the interpreter, the script and the folders of packages.

    The first entry of the path is the script's own folder, in which everything that is installed comes and goes.
    """
    paths = [os.path.realpath(sys.executable), os.path.realpath(script), *sys.path[1:]]
    return [[path, os.stat(path).st_mtime_ns] for path in paths if os.path.exists(path)]
