"""A bot or a service as supervisord sees it: a group with one program, whose process is ours."""

from supervisor.options import ProcessConfig, ProcessGroupConfig


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


class OurConfig(ProcessConfig):
    def __init__(self, options, name, log, make):
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
        super().__init__(options, name=name, command=name, redirect_stderr=True, **outputs, **UNUSED)
        self._make = make

    def make_process(self, group=None):
        process = self._make(self)
        process.group = group
        return process

    def make_dispatchers(self, proc):
        """Without a pipe to its stdin: it reads the end of /dev/null instead of waiting for ever."""
        dispatchers, pipes = super().make_dispatchers(proc)
        del dispatchers[pipes["stdin"]]
        for end in ("stdin", "child_stdin"):
            self.options.close_fd(pipes[end])
            pipes[end] = None
        return dispatchers, pipes


def add_program(supervisord, name, log, make):
    """Makes a program known to supervisord; returns its process, which is `make(config)`."""
    config = OurConfig(supervisord.options, name, log, make)
    supervisord.add_process_group(ProcessGroupConfig(supervisord.options, name, 999, [config]))
    return supervisord.process_groups[name].processes[name]
