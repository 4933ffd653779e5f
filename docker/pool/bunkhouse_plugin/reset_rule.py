"""ResetRule of lib/domain/template.ts, checked at the door."""

from dataclasses import dataclass

from .fields import Fields
from .spec_parts import FILE_PATH, Exec, parse_exec


@dataclass(frozen=True)
class Clear:
    keep: tuple  # of paths, each a tuple of names


@dataclass(frozen=True)
class ResetRule:
    steps: tuple
    verify: tuple

    @property
    def seconds(self):
        """Longest time that the programs may take together."""
        return sum(step.seconds for step in self.steps + self.verify if isinstance(step, Exec))


def parse_reset_rule(value):
    """A ResetRule from decoded JSON. Raises INVALID."""
    fields = Fields(value)
    return ResetRule(
        steps=tuple(_step(Fields(step, "steps"), ("exec", "clear")) for step in fields.list("steps")),
        verify=tuple(_step(Fields(step, "verify"), ("exec",)) for step in fields.list("verify")),
    )


def _step(fields, kinds):
    return parse_exec(fields) if fields.choice("kind", kinds) == "exec" else _clear(fields)


def _clear(fields):
    return Clear(tuple(tuple(path.split("/")) for path in fields.texts("keep", FILE_PATH)))
