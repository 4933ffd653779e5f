"""From a bot's spec to what is started."""

import os

from .spawn import Launch


def what_to_launch(process, container):
    """The Launch of a bot whose pipes are made."""
    spec = process.spec
    home = container.layout.bot(process.bot)
    # supervisord's own environment stays out: it may hold the password of its interface.
    env = {
        "HOME": home,
        "USER": process.bot,
        "LOGNAME": process.bot,
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        **spec.env,
        "NOTIFY_SOCKET": container.layout.notify_socket(spec.slot),
        "BUNKHOUSE_BOT": process.bot,
        "BUNKHOUSE_SLOT": str(spec.slot),
    }
    return Launch(spec.command, env, home, container.users.uid(spec.port), spec.limits, process.pipes["child_stdout"])
