"""The life of the zygote, and in each of its children the life of a bot."""

import gc
import json
import os
import socket
import sys
import traceback

from . import bot, checks, heap, mappings, preload, titles
from .failure import Failure
from .server import serve


def main(descriptor):
    """Never returns: the zygote ends when supervisord lets go of the socket, a bot when its program does."""
    sock = socket.socket(fileno=descriptor)
    os.chdir("/")
    os.umask(0o022)  # what the imports compile may be read by every bot
    recipe = json.load(sys.stdin)
    area = titles.find_area()
    try:
        ready, entry, libraries = _prepare(recipe, sock)
    except Failure as failure:
        traceback.print_exc()
        sys.stdout.flush()
        sock.send(json.dumps({"failed": str(failure)}).encode())
        os._exit(1)
    sock.send(json.dumps({"ready": ready}).encode())
    request = serve(sock)
    if request is None:
        os._exit(0)
    bot.run(bot.Heritage(entry, recipe["script"], area, libraries), request)


def _prepare(recipe, sock):
    """What there is to tell about this zygote; the entry function; descriptors that its libraries need."""
    checks.check_python()
    heap.keep_pages_small()
    count, mortal = heap.immortal_count()
    gc.disable()  # before the imports, or the collector's marks would be spread over all pages
    sys.path.insert(0, os.path.dirname(os.path.realpath(recipe["script"])))
    missing = preload.import_all(recipe["preload"])
    entry = preload.find(recipe["entry"])
    notes = preload.describe_missing(missing, len(recipe["preload"]))
    notes += preload.warm_up(recipe["warmup"])
    libraries = checks.library_descriptors()
    checks.check_alone(sock.fileno(), libraries)
    immortal = recipe["immortal"] and count is not None
    if immortal:
        heap.make_immortal(count)
    elif recipe["immortal"]:
        notes.append(mortal)
    merge, note = heap.ask_for_merging() if recipe["merge"] else (False, "")
    notes += [note] if note else []
    heap.settle()
    mappings.let_go_of_files()
    sys.stdout.flush()
    sys.stderr.flush()
    ready = {
        "python": ".".join(map(str, sys.version_info[:3])),
        "modules": len(sys.modules),
        "immortal": immortal,
        "merge": merge,
        "notes": notes,
        "watched": preload.fingerprint(recipe["script"]),
    }
    return ready, entry, libraries
