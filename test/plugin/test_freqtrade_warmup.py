"""templates/freqtrade.*: the preload list can be imported, and warmup() leaves nothing behind that is alive or not a bot's own."""

import json
import os
import subprocess
import sys
import unittest

TEMPLATES = os.path.join(os.path.dirname(__file__), "../../templates")
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "PATH": "/usr/bin:/bin",
}
PROGRAM = """
import asyncio, gc, importlib, json, logging, os, runpy, signal, socket, sqlite3, sys, threading
gc.disable()
templates = sys.argv[1]
skipped = []
for name in open(f"{templates}/freqtrade.preload.txt").read().splitlines():
    if name and not name.startswith("#"):
        try:
            importlib.import_module(name)
        except ImportError:
            skipped.append(name)

from freqtrade.exchange import Exchange
from freqtrade.freqtradebot import FreqtradeBot
from freqtrade.persistence import PairLocks, Trade
from freqtrade.rpc.api_server import ApiServer

def descriptors():
    return {name: os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")}

def state():
    return [
        descriptors(),
        [(number, str(signal.getsignal(number))) for number in sorted(signal.valid_signals())],
        [str(handler) for handler in logging.root.handlers],
        logging.root.manager.disable,
        hasattr(Trade, "session"),
        PairLocks.timeframe,
        {name: str(value) for name, value in vars(ApiServer).items() if not callable(value)},
        dict(os.environ), os.getcwd(), sys.path, sys.dont_write_bytecode, sorted(os.listdir(".")),
    ]

before = json.dumps(state())
scope = runpy.run_path(f"{templates}/freqtrade.warmup.py")
faults = scope["warmup"]()
unlike = before != json.dumps(state())
kinds = (Exchange, FreqtradeBot, asyncio.AbstractEventLoop, socket.socket, sqlite3.Connection)
alive = [type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, kinds)]
print(json.dumps([skipped, faults, unlike, alive, len(os.listdir("/proc/self/task")), threading.active_count()]))
"""


class Warmup(unittest.TestCase):
    def test_leaves_one_thread_and_nothing_of_the_made_up_bot(self):
        done = subprocess.run([sys.executable, "-c", PROGRAM, TEMPLATES], env=ENVIRONMENT, capture_output=True, text=True, cwd="/")
        self.assertEqual(done.returncode, 0, done.stderr)
        skipped, faults, unlike, alive, tasks, threads = json.loads(done.stdout)
        self.assertEqual(faults, [])
        self.assertEqual(skipped, [])
        self.assertEqual(alive, [])
        self.assertFalse(unlike, "something of the process or of FreqTrade's classes is not as it was")
        self.assertEqual((tasks, threads), (1, 1))

    def test_names_what_failed_with_another_freqtrade(self):
        program = "import runpy, sys; sys.modules['freqtrade.freqtradebot'] = None; print(runpy.run_path(sys.argv[1])['warmup']())"
        warmup = os.path.join(TEMPLATES, "freqtrade.warmup.py")
        done = subprocess.run([sys.executable, "-c", program, warmup], env=ENVIRONMENT, capture_output=True, text=True, cwd="/")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("build_bot: ModuleNotFoundError", done.stdout)


if __name__ == "__main__":
    unittest.main()
