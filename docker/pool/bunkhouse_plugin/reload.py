"""The one Container of a supervisord, also after a SIGHUP: then it starts anew in the same process."""

from supervisor.medusa import asyncore_25 as asyncore

from .container import Container
from .loop import Dispatcher


def container_of(supervisord, directory, uid_base):
    """The one Container of this supervisord."""
    if not hasattr(supervisord, "bunkhouse"):
        _forget_earlier_dispatchers()
        supervisord.bunkhouse = Container(supervisord, directory, uid_base)
    return supervisord.bunkhouse


def _forget_earlier_dispatchers():
    """supervisord has closed all descriptors, but keeps the map of them."""
    for dispatcher in list(asyncore.socket_map.values()):
        if isinstance(dispatcher, Dispatcher):
            dispatcher.forget()
