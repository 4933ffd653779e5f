"""A bot as supervisord sees it: a group with one program, whose process is ours."""

from supervisor.options import ProcessConfig, ProcessGroupConfig

from .process import BotProcess

LOG_BYTES = 10 << 20
LOG_BACKUPS = 3

# What supervisord wants to know of a program and ours decides otherwise.
UNUSED = {
    "uid": None,
    "directory": None,
    "umask": None,
    "priority": 999,
    "autostart": False,
    "autorestart": False,
    "startsecs": 0,
    "startretries": 0,
    "stopsignal": 15,
    "stopwaitsecs": 10,
    "stopasgroup": True,
    "killasgroup": True,
    "exitcodes": [0],
}


class BotConfig(ProcessConfig):
    def __init__(self, options, bot, log, container):
        outputs = {}
        for channel, logfile in (("stdout", log), ("stderr", None)):
            outputs |= {
                f"{channel}_logfile": logfile,
                f"{channel}_logfile_maxbytes": LOG_BYTES,
                f"{channel}_logfile_backups": LOG_BACKUPS,
                f"{channel}_capture_maxbytes": 0,
                f"{channel}_events_enabled": False,
                f"{channel}_syslog": False,
            }
        super().__init__(options, name=bot, command=bot, redirect_stderr=True, **outputs, **UNUSED)
        self._container = container

    def make_process(self, group=None):
        process = BotProcess(self, self._container)
        process.group = group
        return process

    def make_dispatchers(self, proc):
        """Without a pipe to the bot's stdin: it reads the end of /dev/null instead of waiting for ever."""
        dispatchers, pipes = super().make_dispatchers(proc)
        del dispatchers[pipes["stdin"]]
        for end in ("stdin", "child_stdin"):
            self.options.close_fd(pipes[end])
            pipes[end] = None
        return dispatchers, pipes


def add_program(supervisord, bot, log, container):
    """Makes the bot known to supervisord; returns its BotProcess."""
    config = BotConfig(supervisord.options, bot, log, container)
    supervisord.add_process_group(ProcessGroupConfig(supervisord.options, bot, 999, [config]))
    return supervisord.process_groups[bot].processes[bot]
