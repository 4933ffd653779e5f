"""Values that come later, and coroutines over them, driven by supervisord's loop instead of a second one."""


class Promise:
    """A value or an error that comes later. Await it in a coroutine started with `run`."""

    def __init__(self):
        self.done = False
        self._value = None
        self._error = None
        self._callbacks = []

    def resolve(self, value=None):
        self._settle(value, None)

    def reject(self, error):
        self._settle(None, error)

    def result(self):
        """The value; raises the error. Only when `done`."""
        if self._error is not None:
            raise self._error
        return self._value

    def then(self, callback):
        """Calls `callback(promise)` when it is done: now, if it is already."""
        if self.done:
            callback(self)
        else:
            self._callbacks.append(callback)

    def __await__(self):
        if not self.done:
            yield self
        return self.result()

    def _settle(self, value, error):
        if self.done:
            return
        self.done, self._value, self._error = True, value, error
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)


def run(coroutine):
    """Drives a coroutine that awaits promises; returns the promise of its result."""
    outcome = Promise()

    def resume(_=None):
        try:
            awaited = coroutine.send(None)
        except StopIteration as end:
            outcome.resolve(end.value)
        except Exception as error:
            outcome.reject(error)
        else:
            awaited.then(resume)

    resume()
    return outcome


class Turns:
    """One operation at a time per key, in the order they were asked for: `async with turns(key)`."""

    def __init__(self):
        self._last = {}

    def busy(self, key):
        return key in self._last

    def __call__(self, key):
        return _Turn(self._last, key)


class _Turn:
    def __init__(self, last, key):
        self._last, self._key, self._mine = last, key, Promise()

    async def __aenter__(self):
        before = self._last.get(self._key)
        self._last[self._key] = self._mine
        if before is not None:
            await before

    async def __aexit__(self, *_):
        if self._last[self._key] is self._mine:
            del self._last[self._key]
        self._mine.resolve()
