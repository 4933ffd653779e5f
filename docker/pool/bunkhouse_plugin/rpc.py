"""The wire: every method takes one string of JSON and returns one string of JSON. The table in lib/README.md is the contract.

supervisord publishes every method of the class whose name has no underscore in front.
"""

import functools
import json
import traceback

from .faults import INTERNAL, INVALID, Fault
from .fields import Fields
from .promise import Promise, run
from .replies import deferred
from .reset_rule import parse_reset_rule
from .service_spec import NAME
from .spec import GENERATION, INSTANCE_ID, parse_spec

OFFSET = (-(2**53), 2**53)
ANY_NUMBER = (-(2**53), 2**53)


def method(function):
    """Decodes the argument and encodes the answer; whatever goes wrong becomes a Fault and never ends supervisord."""

    @functools.wraps(function)
    def answer(self, text="{}"):
        try:
            result = function(self, _decode(text))
        except Exception as error:
            raise self._fault(error) from None
        return deferred(self._encoded(result)) if isinstance(result, Promise) else json.dumps(result)

    return answer


class BunkhouseInterface:
    def __init__(self, container):
        self._container = container

    @method
    def observe(self, value):
        """Everything there is to see, in one call."""
        return self._container.observe()

    @method
    def apply(self, value):
        """Put or change one bot."""
        return run(self._container.apply(parse_spec(value)))

    @method
    def remove(self, value):
        """Remove a stopped bot with its directory and output."""
        fields = Fields(value)
        return run(self._container.remove(fields.text("bot", INSTANCE_ID), fields.integer("generation", *GENERATION)))

    @method
    def reset(self, value):
        """Clean a stopped bot for its next tenant."""
        fields = Fields(value)
        name, generation = fields.text("bot", INSTANCE_ID), fields.integer("generation", *GENERATION)
        return run(self._container.reset(name, generation, parse_reset_rule(value)))

    @method
    def wait(self, value):
        """Answers as soon as something changed after `cursor`, or after `seconds`."""
        fields = Fields(value)
        return self._container.changes.wait(fields.integer("cursor", *ANY_NUMBER), fields.number("seconds", 0, 1e9))

    @method
    def log(self, value):
        """A piece of a bot's output."""
        fields = Fields(value)
        return self._container.log(fields.text("bot", INSTANCE_ID), fields.integer("offset", *OFFSET), fields.integer("length", *OFFSET))

    @method
    def service_log(self, value):
        """A piece of a service's output."""
        fields = Fields(value)
        return self._container.service_log(fields.text("service", NAME), fields.integer("offset", *OFFSET), fields.integer("length", *OFFSET))

    @method
    def listener(self, value):
        """Who listens on a bot's port now."""
        return self._container.listener(Fields(value).text("bot", INSTANCE_ID))

    @method
    def archive(self, value):
        """Pack the directory of a stopped bot."""
        return self._container.archive(Fields(value).text("bot", INSTANCE_ID))

    @method
    def backup(self, value):
        """Pack the directory of a bot, running or not, with consistent databases."""
        return self._container.backup(Fields(value).text("bot", INSTANCE_ID))

    @method
    def receive(self, value):
        """A piece of an archive that is to be restored."""
        fields = Fields(value)
        return self._container.receive(fields.text("bot", INSTANCE_ID), fields.text("upload"), fields.integer("offset", *OFFSET), fields.text("data"))

    @method
    def restore(self, value):
        """Put a received archive in place of the directory of a stopped bot."""
        fields = Fields(value)
        name, generation = fields.text("bot", INSTANCE_ID), fields.integer("generation", *GENERATION)
        limits = {"max_bytes": fields.integer("maxBytes", 0, OFFSET[1]), "tolerate": fields.boolean("tolerate")}
        return run(self._container.restore(name, generation, fields.text("upload"), fields.text("sha256"), limits))

    @method
    def restored(self, value):
        """Whether a bot's directory is what was received under that name."""
        fields = Fields(value)
        return run(self._container.restored(fields.text("bot", INSTANCE_ID), fields.text("upload")))

    @method
    def fetch(self, value):
        """A piece of an archive."""
        fields = Fields(value)
        return self._container.fetch(fields.text("archive"), fields.integer("offset", *OFFSET), fields.integer("length", *OFFSET))

    @method
    def discard(self, value):
        """Delete an archive. No-op when absent."""
        return self._container.discard(Fields(value).text("archive"))

    def _encoded(self, promise):
        """The same promise in JSON, or as a Fault."""
        outcome = Promise()

        def settle(done):
            try:
                outcome.resolve(json.dumps(done.result()))
            except Exception as error:
                outcome.reject(self._fault(error))

        promise.then(settle)
        return outcome

    def _fault(self, error):
        if isinstance(error, Fault):
            return error
        self._container.loop.logger.error(f"bunkhouse: {''.join(traceback.format_exception(error))}")
        return Fault(INTERNAL, f"{type(error).__name__}: {error}")


def _decode(text):
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise Fault(INVALID, "the argument must be one string of JSON") from None
