"""All bots of one container, and the operations on them."""

import os
import secrets
import sys
from dataclasses import replace

from supervisor.states import ProcessStates

from . import children, earlier, files, leftovers, output, reset
from .archive import Archives, Shared
from .bot_process import BotProcess
from .cgroups import Cgroups
from .changes import Changes
from .faults import CONFLICT, INTERNAL, NOT_FOUND, Fault, from_oserror
from .fences import Fences
from .helpers import Helpers
from .layout import Layout
from .loop import Loop
from .notify import NotifySocket
from .observation import observe_bot
from .place import place_of_bot
from .ports import look
from .program import add_program
from .promise import Promise, Turns, run
from .sampler import Sampler
from .seats import Seats
from .services import Services
from .users import Users
from .watch import Watch
from .zygotes import Zygotes

PROTOCOL = 3
PREPARING_SECONDS = 60
REMOVING_SECONDS = 600
# Besides the time its steps may take.
RESET_SECONDS = 30


class Container:
    def __init__(self, supervisord, directory, uid_base):
        """Raises ValueError with what to do when the directory or the uid_base cannot be used."""
        if not os.path.isabs(directory):
            raise ValueError(f"directory must be an absolute path, not {directory!r}")
        # What supervisord writes, its rotated logs too, is nobody else's to read.
        os.umask(0o077)
        children.become_subreaper()
        self.users = Users(uid_base)
        self.layout = Layout(directory)
        self.layout.create(self.users.isolates)
        self._supervisord = supervisord
        self._incarnation = secrets.token_hex(8)
        self.loop = Loop(supervisord.options.logger)
        self.loop.held = self._excuse
        self.quick = Helpers(supervisord.options, self.loop, limit=4)
        self._slow = Helpers(supervisord.options, self.loop, limit=2)
        # None waits for another's steps.
        self.steps = Helpers(supervisord.options, self.loop, limit=100)
        self.changes = Changes(self._incarnation, self.loop)
        self.fences = Fences(self.layout.fences, self.quick)
        self.zygotes = Zygotes(self.layout, supervisord.options, self.loop, lambda: self.bots.values())
        self.cgroups = Cgroups(directory)
        self.services = Services(supervisord, self)
        self.turns = Turns()
        # Whose directory is being packed, which may take long and holds up no change of the bot, or is replaced or removed.
        self._directories = Turns()
        self.bots = {}
        self._seats = Seats()
        self._sockets = {}
        self._archives = Archives(self.layout, self._slow)
        self._shared = Shared()
        self._sampler = Sampler(self)
        self._watch = Watch(self, self._sampler, supervisord.options)
        self._earlier = earlier.end_all(self)
        self._staging = self._clear_staging()

    def observe(self):
        """AgentObservation."""
        return {
            "incarnation": self._incarnation,
            "cursor": self.changes.cursor,
            "protocol": PROTOCOL,
            "directory": self.layout.root,
            "python": ".".join(map(str, sys.version_info[:3])),
            "isolatesUsers": self.users.isolates,
            "overhead": self._sampler.overhead,
            "zygotes": self.zygotes.observe(),
            "services": self.services.observe(),
            "cgroups": self.cgroups.observe(),
            "bots": [observe_bot(bot) for bot in self.bots.values()],
            "directories": os.listdir(self.layout.bots),
            "dormant": self._dormant(),
            "serviceDirectories": os.listdir(self.layout.services),
        }

    def _dormant(self):
        """Bots of an earlier life of supervisord that were not applied since: only the fences tell of them."""
        return [
            {"bot": name, "slot": fence["slot"], "generation": fence["generation"]}
            for name, fence in self.fences.known().items()
            if not fence["removed"] and fence["slot"] is not None and name not in self.bots
        ]

    async def apply(self, spec):
        """Puts or changes one bot; its BotObservation."""
        async with self.turns(spec.bot):
            await self._earlier
            self.fences.check_alive(spec.bot, spec.generation)
            if not spec.run:
                self._stop_at_once(spec.bot)
            with self._seats.reserved(spec, alive=self._is_alive(spec.bot)):
                await self.quick.run(f"prepare {spec.bot}", self._preparation(spec), PREPARING_SECONDS)
                await self.fences.raise_to(spec.bot, spec.generation, removed=False, slot=spec.slot, port=spec.port)
                self._bind(spec)
                self.services.want(spec)
            bot = self.bots.get(spec.bot) or self._admit(spec)
            bot.accept(spec, replace(self.place(spec.bot, spec.slot, spec.port), groups=self.services.groups(spec)))
            self.services.retire()
            self.zygotes.retire()
        bot.step()
        if bot.waits_for_port():
            self._sampler.hurry()
        return observe_bot(bot)

    async def remove(self, name, generation):
        """Takes away a stopped bot and everything of it. No-op when absent."""
        async with self.turns(name), self._directories(name):
            await self._earlier
            self.fences.check(name, generation)
            self._require_stopped(name)
            if name in self.bots:
                await self.services.take_room_from(self.bots[name])
            await self.fences.raise_to(name, generation, removed=True)
            uid = self._uid_of(name)
            trouble = await self._slow.run(f"remove {name}", lambda: self._delete(name, uid), REMOVING_SECONDS)
            if trouble:
                self._supervisord.options.logger.error(f"bunkhouse: {name} was removed, but {trouble}")
            if name in self.bots:
                self._dismiss(name)
        return {}

    async def reset(self, name, generation, rule):
        """Cleans a stopped bot for its next tenant; {isolated}. See reset.py."""
        async with self.turns(name), self._directories(name):
            await self._earlier
            self.fences.check(name, generation)
            self._require_stopped(name)
            if name not in self.bots:
                raise Fault(NOT_FOUND, f"{name} was not applied since its container was started: apply it with run false first")
            self.services.require(self.bots[name])
            await self.fences.raise_to(name, generation)
            self._archives.forget(name)
            work = reset.what_to_reset(self.bots[name], self, rule)
            answer = await self.steps.run(f"reset {name}", lambda: reset.carry_out(work), RESET_SECONDS + rule.seconds)
            self.bots[name].forget()
        return answer

    def archive(self, name):
        """Promise of the ArchiveInfo of a stopped bot, shared by those who ask meanwhile."""
        return self._shared.once(name, lambda: run(self._archive(name)))

    def backup(self, name):
        """As `archive`, also of a running bot; shared by those who ask meanwhile, unless it was begun before the bot was stopped."""
        bot = self.bots.get(name)
        since = bot and (bot.spec.generation, bot.state)
        return self._shared.once(("backup", name, since), lambda: run(self._backup(name)))

    def receive(self, name, upload, offset, data):
        self._archives.receive(name, upload, offset, data)
        return {}

    async def restore(self, name, generation, upload, sha256, limits):
        """Puts what was received in place of a stopped bot's directory; what was unpacked."""
        async with self.turns(name), self._directories(name):
            await self._earlier
            self.fences.check(name, generation)
            self._require_stopped(name)
            if not os.path.isdir(self.layout.bot(name)):
                raise Fault(NOT_FOUND, f"there is no directory of {name}: apply it with run false first")
            await self._staging
            await self.fences.raise_to(name, generation)
            return await self._archives.restore(name, upload, sha256, limits)

    async def restored(self, name, upload):
        """Whether that was put in place, once what is under way has ended: {restored}."""
        async with self.turns(name), self._directories(name):
            await self._earlier
            await self._staging
            return {"restored": self._archives.restored(name, upload)}

    def fetch(self, archive, offset, length):
        return self._archives.fetch(archive, offset, length)

    def discard(self, archive):
        self._archives.discard(archive)
        return {}

    def log(self, name, offset, length):
        return output.read(self.layout.log(name), offset, length, known=name in self.bots)

    def service_log(self, name, offset, length):
        return output.read(self.layout.service_log(name), offset, length, known=any(process.name == name for process in self.services.all()))

    def place(self, bot, slot, port):
        return place_of_bot(self.layout, self.users.uid(port), bot, slot)

    def listener(self, name):
        """Who listens on a bot's port at this very moment, and which life of it that was."""
        bot = self.bots.get(name)
        if bot is None:
            raise Fault(NOT_FOUND, f"{name} was not applied since its container was started")
        life = bot.life if bot.pid else None
        [(_, verdict)] = look([bot])
        return {"pid": life and life.pid, "startedAt": life and life.started_at, "listener": verdict}

    async def _backup(self, name):
        await self._copy_out_for_backup(name)
        async with self._directories(name):
            await self._staging
            return await self._archives.snapshot(name)

    async def _copy_out_for_backup(self, name):
        """What copies its data out ends whatever else runs as its user: the bot is stopped, and not started meanwhile."""
        if not self._keeps_in_services(name):
            return
        async with self.turns(name), self._directories(name):
            await self._earlier
            if self._keeps_in_services(name):
                self._require_stopped(name)
                await self.services.copy_out(self.bots[name])

    def _keeps_in_services(self, name):
        return name in self.bots and any(use.archive for use in self.bots[name].spec.services)

    async def _archive(self, name):
        async with self.turns(name), self._directories(name):
            await self._earlier
            self._require_stopped(name)
            if name in self.bots:
                await self.services.copy_out(self.bots[name])
            return await self._archives.pack(name)

    def _stop_at_once(self, name):
        """A stop needs no disk: on a full one the rest of the change fails and is tried again, but the process ends."""
        bot = self.bots.get(name)
        if bot is not None:
            bot.accept(replace(bot.spec, run=False), bot.place)
            bot.step()

    def _clear_staging(self):
        """Promise that nothing of an earlier supervisord is in the way of what is staged now, as far as can be helped."""
        done = Promise()

        def report(outcome):
            try:
                outcome.result()
            except Fault as fault:
                self._supervisord.options.logger.error(f"bunkhouse: {fault.text}")
            done.resolve()

        self._slow.run("clear what was staged", self._archives.clear_staged, REMOVING_SECONDS).then(report)
        return done

    def _preparation(self, spec):
        """What a helper does before a spec is accepted."""
        home, uid = self.layout.bot(spec.bot), self.users.uid(spec.port)
        bot = self.bots.get(spec.bot)
        dead = []
        if not self._is_alive(spec.bot):
            dead = [self.place(spec.bot, spec.slot, spec.port).marks()] + ([bot.marks()] if bot else [])

        def prepare():
            for marks in dead:
                if left := leftovers.end(marks):
                    raise Fault(INTERNAL, f"processes {left} of an earlier run of {spec.bot} cannot be ended")
            files.put(home, uid, spec.directories, spec.files)

        return prepare

    def _bind(self, spec):
        """Opens the slot's notify socket, once for each seat."""
        seat = (spec.slot, spec.port)
        bound = self._sockets.get(spec.bot)
        if bound is not None and bound[0] == seat:
            return
        self._unbind(spec.bot)

        def receive(pid, uid, fields):
            if spec.bot in self.bots:
                self.bots[spec.bot].notified(pid, uid, fields)

        folder, path = self.layout.notify(spec.slot), self.layout.notify_socket(spec.slot)
        try:
            sock = NotifySocket(folder, path, self.users.uid(spec.port), receive, self._supervisord.options.logger)
        except OSError as error:
            raise from_oserror(error, "cannot open the notify socket") from None
        self._sockets[spec.bot] = (seat, sock)

    def _unbind(self, name):
        if name in self._sockets:
            (slot, _), sock = self._sockets.pop(name)
            sock.close()
            self.cgroups.drop(slot)

    def _admit(self, spec):
        bot = add_program(self._supervisord, spec.bot, self.layout.log(spec.bot), lambda config: BotProcess(config, self))
        self.bots[spec.bot] = bot
        return bot

    def _dismiss(self, name):
        self.bots.pop(name).retire()
        self._supervisord.remove_process_group(name)
        self._unbind(name)
        self._seats.free(name)
        self.zygotes.retire()
        self.services.retire()
        self.changes.touch(name)

    def processes(self):
        """All that are kept."""
        return [*self.services.all(), *self.bots.values()]

    def has_living_bots(self):
        return any(bot.alive for bot in self.bots.values())

    def _excuse(self, seconds):
        for process in self.processes():
            process.excuse(seconds)

    def _is_alive(self, name):
        return name in self.bots and self.bots[name].alive

    def _require_stopped(self, name):
        bot = self.bots.get(name)
        if bot is not None and bot.state != ProcessStates.STOPPED:
            raise Fault(CONFLICT, f"{name} is not stopped: apply it with run false and wait until it is")

    def _uid_of(self, name):
        """Whose traces go with a bot: of the seat it has, or had before supervisord was started if nobody has that now."""
        if name in self.bots:
            return self.users.uid(self.bots[name].spec.port)
        port = self.fences.known().get(name, {}).get("port")
        return None if port is None or self._seats.is_taken(port) else self.users.uid(port)

    def _delete(self, name, uid):
        """Why something is left outside the bot's directory, or None."""
        files.delete(self.layout.bot(name))
        reset.remove_log(self.layout.log(name))
        return None if uid is None else reset.clear_user(uid)
