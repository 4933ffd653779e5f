"""Forked bots share the memory of what was imported for them."""

import sys
import unittest

from harness import PLUGIN
from prefork import PYTHON, PreforkTest, prefork

sys.path.insert(0, PLUGIN)
from bunkhouse_plugin import procfs  # noqa: E402
from bunkhouse_plugin.zygote import mappings  # noqa: E402

COUNT = 4
# About 40 MiB of objects, which each bot uses all.
BALLAST = f"""
import app
def warmup():
    app.BALLAST.extend(str(number) for number in range(600_000))
"""


class MemoryTest(PreforkTest):
    def measured(self, **changes):
        """Mean of PSS and private MiB of bots that have used everything."""
        for slot in range(COUNT):
            self.serving(f"bot{slot}", slot=slot, **changes)
        for slot in range(COUNT):
            self.facts(slot)
        memory = [procfs.memory(seen["pid"]) for seen in self.call("observe")["bots"]]
        zygotes = self.zygotes()
        self._remove_all()
        means = {kind: sum(sample[f"{kind}Bytes"] for sample in memory) / COUNT / (1 << 20) for kind in ("pss", "private", "rss")}
        return means, zygotes

    def test_private_memory_is_less_than_half(self):
        executed, zygotes = self.measured(prefork=None, command=[self.put_fat_script()])
        self.assertEqual(zygotes, [])
        mortal, (zygote,) = self.measured(prefork=prefork(warmup=BALLAST, immortal=False))
        self.assertEqual((zygote["immortal"], zygote["forks"]), (False, COUNT))
        immortal, (zygote,) = self.measured(prefork=prefork(warmup=BALLAST))
        self.assertEqual(zygote["immortal"], PYTHON >= (3, 12))
        for name, means in (("executed", executed), ("forked", mortal), ("forked, immortal" if zygote["immortal"] else "forked once more", immortal)):
            print(f"\n{name}, mean of {COUNT}: " + ", ".join(f"{kind} {mib:.1f} MiB" for kind, mib in means.items()), end="", flush=True)
        if zygote["immortal"]:
            self.assertLess(immortal["private"], executed["private"] / 2)
            self.assertLess(immortal["pss"], executed["pss"] / 2)
            self.assertLess(immortal["private"], mortal["private"] / 2)
        self.assertLess(mortal["private"], executed["private"])

    def test_the_zygote_keeps_no_file_that_only_the_imports_read(self):
        self.serving("bot0")
        self.facts()
        kept = {name: files_of(seen["pid"]) for name, seen in (("zygote", self.zygote()), ("bot", self.observe("bot0")))}
        print(f"\nof files, never written to: {kept} MiB", end="", flush=True)
        self.assertLess(kept["zygote"], kept["bot"])
        self.serving("bot1", slot=1)
        self.assertEqual(self.facts(slot=1)["touched"], self.facts()["touched"])

    def put_fat_script(self):
        """With the same ballast, made by each bot itself."""
        path = self.put_script("fat")
        with open(path) as file:
            lines = file.read().splitlines(keepends=True)
        with open(path, "w") as file:
            file.write("".join([lines[0], *(line for line in BALLAST.splitlines(keepends=True)), "warmup()\n", *lines[1:]]))
        return path


def files_of(pid):
    """MiB of files that a process has in memory, as they are on the disk."""
    with open(f"/proc/{pid}/smaps") as file:
        return sum(found.kib["Rss"] - found.kib["Anonymous"] for found in mappings.parse(file) if found.path.startswith("/")) / 1024


if __name__ == "__main__":
    unittest.main()
