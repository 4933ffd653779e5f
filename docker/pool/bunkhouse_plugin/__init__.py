"""The part of Bunkhouse that lives inside supervisord: many bots in one container. See lib/README.md, "Inside a container"."""


def make_rpcinterface(supervisord, directory, uid_base=""):
    """supervisord's entry point for `[rpcinterface:bunkhouse]`; called once for each of its HTTP servers.

    `directory` holds everything of this container; `uid_base` + port is a bot's uid, empty leaves all bots one uid.
    A ValueError from here ends supervisord before it serves anything, with its message.
    """
    from .reload import container_of
    from .rpc import BunkhouseInterface

    return BunkhouseInterface(container_of(supervisord, directory, uid_base))
