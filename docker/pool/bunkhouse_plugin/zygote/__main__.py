"""Started by the plugin as `python FOLDER/__main__.py SOCKET PADDING`."""

import os
import sys

# Only long enough to find ourselves: for bots the path must be what it would be without us.
sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from bunkhouse_plugin.zygote.main import main  # noqa: E402

del sys.path[0]
main(int(sys.argv[1]))
