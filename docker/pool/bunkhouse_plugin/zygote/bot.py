"""In the child: becoming the bot, and running its program as if it had just been executed."""

import atexit
import gc
import os
import random
import signal
import site
import sys
import threading
import time
import types
from dataclasses import dataclass

from .. import children
from ..become import become, decode_launch, wait_at
from . import titles

TEMPORARY = {"TMPDIR", "TEMP", "TMP"}
# By these a bot is found in /proc.
MARKS = ("NOTIFY_SOCKET", "BUNKHOUSE_BOT")
CANNOT_START = 127
FLUSH_FAILED = 120


@dataclass(frozen=True)
class Heritage:
    """What a bot has from its zygote."""

    entry: object
    script: str
    area: titles.Area
    libraries: list  # descriptors, see checks.py


def run(heritage, request):
    """Never returns."""
    wait_at(request.gate)
    launch = decode_launch(_read(request.launch))
    try:
        become(launch, request.output, keep=heritage.libraries)
        children.be_dumpable()
        _take_environment(launch.env)
        titles.rewrite(heritage.area, launch.argv, [f"{name}={launch.env[name]}" for name in MARKS if name in launch.env])
    except BaseException as error:
        os.write(2, f"bunkhouse: cannot start {launch.argv[0]}: {error}\n".encode(errors="replace"))
        os._exit(CANNOT_START)
    # The script by its full path, as the kernel hands it to the interpreter of its first line.
    sys.argv = [heritage.script, *launch.argv[1:]]
    sys.orig_argv = [sys.executable, *sys.argv]
    sys.modules["__main__"] = _main_module(heritage.script)
    threading.main_thread()._set_native_id()
    _reseed()
    gc.enable()
    _end(_call(heritage.entry))


def _read(descriptor):
    with open(descriptor, "rb") as file:
        file.seek(0)
        return file.read()


def _take_environment(env):
    os.environ.clear()
    os.environ.update(env)
    # What Python has read from the zygote's.
    time.tzset()
    site.USER_BASE = site.USER_SITE = None
    site.getusersitepackages()
    if "tempfile" in sys.modules and TEMPORARY & env.keys():
        sys.modules["tempfile"].tempdir = None


def _main_module(script):
    module = types.ModuleType("__main__")
    module.__file__ = script
    return module


def _reseed():
    random.seed()
    if "numpy" in sys.modules:  # does not do it by itself: numpy#9650
        sys.modules["numpy"].random.seed()
    if "ssl" in sys.modules:
        sys.modules["ssl"].RAND_add(os.urandom(32), 32.0)
    if "multiprocessing.process" in sys.modules:  # a key made at import, by which processes of one program trust each other
        sys.modules["multiprocessing.process"].current_process().authkey = os.urandom(32)


def _call(entry):
    """Exit code of the program; None for one that was interrupted. What Python does around a script's `sys.exit(main())`."""
    try:
        return _exit_code(entry())
    except SystemExit as end:
        return _exit_code(end.code)
    except KeyboardInterrupt as error:
        _show(error)
        return None
    except BaseException as error:
        _show(error)
        return 1


def _exit_code(value):
    if value is None:
        return 0
    if isinstance(value, int):
        return value & 0xFF
    print(value, file=sys.stderr)
    return 1


def _show(error):
    """Without our frame in its traceback."""
    error.__traceback__ = error.__traceback__.tb_next
    sys.excepthook(type(error), error, error.__traceback__)


def _end(code):
    """The end of an interpreter, short of taking it apart: that would copy every page it shares.

    Leaves by os._exit, so a fork of the bot's own must do so as well or run into what is above us on the stack.
    """
    for finish in (threading._shutdown, atexit._run_exitfuncs):
        try:
            finish()
        except BaseException as error:
            sys.excepthook(type(error), error, error.__traceback__)
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except BaseException:
            code = FLUSH_FAILED
    if code is None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(code)
