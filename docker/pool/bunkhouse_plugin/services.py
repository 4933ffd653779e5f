"""The shared services of one container. They come with the specs of the bots that want them, as zygotes do."""

import os

from supervisor.states import ProcessStates

from .faults import SERVICE_FAILED, Fault, from_oserror
from .leftovers import Marks
from .notify import NotifySocket
from .observation import observe_service
from .place import place_of_service
from .program import add_program
from .service_process import ServiceProcess
from .service_steps import as_bot, as_service, carry_out, seconds

# A service's uid is beyond those of all bots: for each number a block as large as there are ports, and in it the container's first.
PORTS = 1 << 16


class Services:
    def __init__(self, supervisord, container):
        self._supervisord, self._container = supervisord, container
        self._processes = {}  # name -> ServiceProcess
        self._sockets = {}
        self._telling = False

    def want(self, spec):
        """A bot comes with these. Raises INTERNAL."""
        for use in spec.services:
            process = self._processes.get(use.name)
            place = process.place if process else self._place(use.name, spec.port - spec.slot)
            if process is None:
                process = self._admit(use.name, place)
            process.want(use.service, spec.generation, place)
            process.step()

    def retire(self):
        """Stops those that no bot wants any more, and forgets them when they have stopped. What they keep stays."""
        wanted = {use.name for bot in self._container.bots.values() for use in bot.spec.services}
        for name, process in list(self._processes.items()):
            if name in wanted:
                continue
            process.retire()
            process.step()
            if process.state == ProcessStates.STOPPED:
                self._dismiss(name)

    def missing(self, spec):
        """What a bot with that spec has to wait for, or ""."""
        return next(filter(None, (self._processes[use.name].missing() for use in spec.services)), "")

    def require(self, bot):
        """Raises SERVICE_FAILED unless all that it uses are up."""
        if missing := self.missing(bot.spec):
            raise Fault(SERVICE_FAILED, f"{bot.bot} waits for {missing}")

    async def take_room_from(self, bot):
        """What was made for it in them goes. Raises SERVICE_FAILED."""
        await self._take(f"deprovision {bot.bot}", bot, as_service("deprovision", bot.spec, self))

    async def copy_out(self, bot):
        """What a stopped bot keeps in them is in its directory too. Raises SERVICE_FAILED."""
        await self._take(f"save the data of {bot.bot}", bot, as_bot(bot, self._container))

    def groups(self, spec):
        """gids by which it reaches their sockets."""
        return tuple(uid for use in spec.services if (uid := self._processes[use.name].place.uid) is not None)

    def process(self, name):
        return self._processes[name]

    def all(self):
        return self._processes.values()

    def observe(self):
        return [observe_service(process) for process in self._processes.values()]

    def marks(self, name, fence):
        """Of an earlier life, by what is known of it."""
        return Marks((f"BUNKHOUSE_SERVICE_DIR={self._container.layout.service(name)}",), fence["uid"], fence["pid"], fence["start"])

    def changed(self):
        """Bots may wait for it, and one that has stopped may be to forget."""
        if not self._telling:
            self._telling = True
            self._container.loop.soon(self._tell)

    async def _take(self, what, bot, works):
        if works:
            self.require(bot)
            await self._container.steps.run(what, lambda: carry_out(works), seconds(works))

    def _tell(self):
        self._telling = False
        for bot in list(self._container.bots.values()):
            bot.step()
        self.retire()

    def _admit(self, name, place):
        layout = self._container.layout
        process = add_program(
            self._supervisord, f"service {name}", place.log, lambda config: ServiceProcess(config, self._container, name, layout.service_run(name))
        )

        def receive(pid, uid, fields):
            process.notified(pid, uid, fields)

        try:
            self._sockets[name] = NotifySocket(layout.notify(place.seat), place.notify_socket, place.uid, receive, self._supervisord.options.logger)
        except OSError as error:
            self._supervisord.remove_process_group(f"service {name}")
            raise from_oserror(error, f"cannot open the notify socket of service {name}") from None
        self._processes[name] = process
        return process

    def _dismiss(self, name):
        process = self._processes.pop(name)
        self._supervisord.remove_process_group(process.bot)
        self._sockets.pop(name).close()
        self._container.cgroups.drop(process.place.seat)
        self._container.changes.touch(process.bot)

    def _place(self, name, base_port):
        number = self._number(name, base_port)
        return place_of_service(self._container.layout, self._container.users.uid(PORTS * number + base_port), name, number)

    def _number(self, name, base_port):
        """From 1 on. The one by which its directory belongs to its user, or else one that nobody has."""
        numbers = {each: self._number_of(each, base_port) for each in os.listdir(self._container.layout.services)}
        numbers |= {each: int(process.place.seat[1:]) for each, process in self._processes.items()}
        mine = numbers.pop(name, None)
        taken = set(numbers.values())
        if mine is not None and mine not in taken:
            return mine
        return next(number for number in range(1, len(taken) + 2) if number not in taken)

    def _number_of(self, name, base_port):
        first = self._container.users.uid(base_port)
        if first is None:
            return None
        number, rest = divmod(os.lstat(self._container.layout.service(name)).st_uid - first, PORTS)
        return number if rest == 0 and number > 0 else None

