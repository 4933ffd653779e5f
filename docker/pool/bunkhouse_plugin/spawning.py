"""Getting a bot its process: from a zygote, which it may have to wait for, or else as a program of its own."""

from .launch import environment_of, what_to_launch
from .promise import Promise
from .spawn import Execute, NotForked, Wait, start


class Spawning:
    def __init__(self, process, container):
        self._process, self._container = process, container
        self.under_way = False  # asked for, and its pid is not known yet
        self._zygote = None  # waited for
        self._instead = None  # how to start after a zygote let us down

    @property
    def waits(self):
        return self._zygote is not None

    def forget(self):
        """The bot is not to run, or its spec is another: it will be asked anew."""
        self._zygote = self._instead = None

    def way(self):
        """Fork or Execute; None: not in this turn, or not before the zygote is ready."""
        if self.waits and self._zygote.importing:
            return None
        if not self._container.loop.may_fork():
            return None
        process = self._process
        way = self._instead or self._container.zygotes.way(process.spec, environment_of(process))
        self._zygote = way.zygote if isinstance(way, Wait) else None
        if self.waits:
            return None
        self._instead = None
        return way

    def begin(self, way, cgroups):
        """Ends in `process.spawned(Started)` or `process.not_spawned(error)`, now or later."""
        process = self._process
        self.under_way = True
        try:
            process.dispatchers, process.pipes = process.config.make_dispatchers(process)
            started = start(way, what_to_launch(process, cgroups), process.pipes["child_stdout"])
        except OSError as error:
            started = Promise()
            started.reject(error)
        finally:
            process.config.options.close_child_pipes(process.pipes)
        started.then(lambda outcome: self._container.loop.guard(self._begun, outcome))

    def _begun(self, outcome):
        self.under_way = False
        try:
            started = outcome.result()
        except (NotForked, OSError) as error:
            # Nothing runs. Without the zygote it is tried another way, at once.
            self._instead = Execute(str(error)) if isinstance(error, NotForked) else None
            self._process.not_spawned(error)
        else:
            self._process.spawned(started)
