"""Runs the tests of prefork under each Python of a folder, and ends with one summary as unittest prints it.

Usage: python test/plugin/versions.py FOLDER [--all]

FOLDER/venv-VERSION is a venv with supervisor that all users can run; scripts/lib/pythons.sh makes them. The Python that runs this
is left out: the other tests run under it. Without --all only those tests run that depend on the version.
"""

import glob
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
DEPENDENT = ("likeness", "exits", "memory", "immortal")


def main(folder, which):
    started, total = time.monotonic(), {"ran": 0, "failures": 0, "errors": 0, "skipped": 0}
    for version in VERSIONS:
        python = os.path.join(folder, f"venv-{version}", "bin", "python")
        if version == "{}.{}".format(*sys.version_info):
            continue
        if not os.path.exists(python):
            print(f"\nPython {version}: not here, its tests are skipped", flush=True)
            total["skipped"] += 1
            total["ran"] += 1
            continue
        print(f"\nPython {version}", flush=True)
        for name, count in run(python, which).items():
            total[name] += count
    return summary(total, time.monotonic() - started)


def run(python, which):
    """Its counts. A run that ended badly without one is an error."""
    found = subprocess.run([python, "-m", "unittest", "-v", *which], cwd=HERE, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True)
    print(found.stdout, end="", flush=True)
    ran = re.findall(r"^Ran (\d+) tests? in ", found.stdout, re.MULTILINE)
    last = found.stdout.splitlines()[-1] if ran else ""
    counts = {"ran": int(ran[-1]) if ran else 0, **{name: int(count) for name, count in re.findall(r"(failures|errors|skipped)=(\d+)", last)}}
    if found.returncode != 0 and not counts.get("failures") and not counts.get("errors"):
        counts["errors"] = 1
    return counts


def summary(total, seconds):
    """The exit code, after the words of unittest."""
    bad = total["failures"] + total["errors"]
    about = ", ".join(f"{name}={total[name]}" for name in ("failures", "errors", "skipped") if total[name])
    print(f"\nRan {total['ran']} tests in {seconds:.3f}s\n\n{'FAILED' if bad else 'OK'}{about and f' ({about})'}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    every = sorted(os.path.basename(path)[:-3] for path in glob.glob(os.path.join(HERE, "test_prefork_*.py")))
    wanted = every if "--all" in sys.argv[2:] else [f"test_prefork_{name}" for name in DEPENDENT]
    sys.exit(main(sys.argv[1], wanted))
