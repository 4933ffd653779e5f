"""Which bot has which slot and port."""

from contextlib import contextmanager

from .faults import CONFLICT, Fault


class Seats:
    def __init__(self):
        self._taken = {}  # bot -> (slot, port); also of bots about to come

    @contextmanager
    def reserved(self, spec, alive):
        """Holds the spec's slot and port for its bot; on an error the bot has again what it had.

        Raises CONFLICT when one of them is another's, or when a bot that is alive would move.
        """
        seat, before = (spec.slot, spec.port), self._taken.get(spec.bot)
        for other, (slot, port) in self._taken.items():
            if other != spec.bot and (slot == spec.slot or port == spec.port):
                raise Fault(CONFLICT, f"slot {slot} with port {port} is {other}'s: remove {other} first or choose another")
        if alive and before != seat:
            raise Fault(CONFLICT, f"{spec.bot} runs in slot {before[0]} with port {before[1]}: stop it before it moves")
        self._taken[spec.bot] = seat
        try:
            yield
        except BaseException:
            self.free(spec.bot)
            if before is not None:
                self._taken[spec.bot] = before
            raise

    def free(self, bot):
        del self._taken[bot]

    def is_taken(self, port):
        return any(taken == port for _, taken in self._taken.values())
