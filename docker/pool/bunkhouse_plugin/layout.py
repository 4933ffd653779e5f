"""Where things are in a container's directory. The table in lib/README.md is the contract."""

import os
from dataclasses import dataclass

# sun_path of an AF_UNIX address holds 108 bytes with its end.
LONGEST_SOCKET_PATH = 107


@dataclass(frozen=True)
class Layout:
    root: str

    @property
    def bots(self):
        return os.path.join(self.root, "bots")

    @property
    def archives(self):
        return os.path.join(self.root, "archives")

    @property
    def fences(self):
        return os.path.join(self.root, "fences.json")

    @property
    def zygote_home(self):
        """HOME of zygotes: theirs alone and empty."""
        return os.path.join(self.root, "run", "zygote")

    @property
    def services(self):
        return os.path.join(self.root, "services")

    def service(self, name):
        return os.path.join(self.services, name)

    def service_run(self, name):
        """Of its sockets, for its bots to reach."""
        return os.path.join(self.root, "run", "services", name)

    def service_log(self, name):
        return self.log(f".service-{name}")

    def bot(self, bot):
        return os.path.join(self.bots, bot)

    @property
    def staging(self):
        return os.path.join(self.root, "staging")

    def staged(self, name):
        """What is made before it takes its place, on the same filesystem as the bots' directories."""
        return os.path.join(self.staging, name)

    def log(self, bot):
        return os.path.join(self.root, "logs", f"{bot}.log")

    def notify(self, slot):
        return os.path.join(self.root, "run", "notify", str(slot))

    def notify_socket(self, slot):
        return os.path.join(self.notify(slot), "notify.sock")

    def create(self, isolated):
        """Makes the directories. Raises ValueError with what to do when bots could not work in them."""
        if len(self.notify_socket(9999).encode()) > LONGEST_SOCKET_PATH:
            raise ValueError(f"{self.root} is too long for Unix sockets below it: choose a shorter directory")
        passage = 0o711 if isolated else 0o700
        modes = {".": passage, "bots": passage, "staging": passage, "services": passage, "logs": 0o700, "archives": 0o700}
        modes |= {"run": passage, "run/notify": passage, "run/services": passage, "run/zygote": 0o700}
        for name, mode in modes.items():
            path = os.path.join(self.root, name)
            os.makedirs(path, exist_ok=True)
            os.chmod(path, mode)
        if isolated:
            self._check_passage()

    def _check_passage(self):
        """Every slot's uid must be able to walk down to its directory."""
        path = os.path.realpath(self.root)
        while path != "/":
            path = os.path.dirname(path)
            if not os.stat(path).st_mode & 0o001:
                raise ValueError(f"{path} keeps the bots' users out: run chmod o+x on it, or choose another directory")
