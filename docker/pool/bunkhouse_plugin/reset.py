"""From one tenant to the next: a stopped bot is cleaned of everything that was not there before. Runs in a helper process.

Each act is chosen from what is found, so a reset that was broken off anywhere is made good by the next one.
"""

import glob
import os
import stat
from dataclasses import dataclass

from . import ipc, leftovers, strays, trees
from .become import Launch
from .faults import INTERNAL, RESET_FAILED, Fault
from .launch import what_to_launch
from .leftovers import Marks
from .reset_rule import Clear, ResetRule
from .secrecy import redact
from .step_process import execute
from .trees import DIRECTORY
from .users import acting_as

# Attributes that a user may set, access lists among them.
ATTRIBUTES = ("user.", "system.posix_acl_")
MOST_NAMED = 3


@dataclass(frozen=True)
class Reset:
    home: str
    log: str
    marks: tuple  # of its present seat, which steps run under, and of its last run
    launch: Launch
    rule: ResetRule
    secrets: tuple


def what_to_reset(process, container, rule):
    """The Reset of a stopped bot."""
    cgroups, _ = container.cgroups.admit(process.place.seat, process.spec.limits)
    return Reset(
        home=process.place.home,
        log=process.place.log,
        marks=(process.place.marks(), process.marks()),
        launch=what_to_launch(process, cgroups),
        rule=rule,
        secrets=process.spec.secrets,
    )


def carry_out(reset):
    """All of it; proves the result. `{isolated}`: whether the user's traces outside the directory could be told from others', and are gone.

    Raises RESET_FAILED.
    """
    clear_away(reset.marks)
    _reclaim(reset.home, reset.launch.uid)
    for number, step in enumerate(reset.rule.steps, 1):
        _take(f"step {number}", step, reset)
    for number, step in enumerate(reset.rule.verify, 1):
        _take(f"check {number}", step, reset)
    clear_away(reset.marks)
    remove_log(reset.log)
    return {"isolated": reset.launch.uid is not None}


def clear_away(marks):
    """Ends and removes what a user has left outside its directory, as far as it can be told from others'. Raises RESET_FAILED."""
    if alive := [pid for each in marks for pid in leftovers.end(each)]:
        raise Fault(RESET_FAILED, f"processes {alive} cannot be ended")
    for uid in {each.uid for each in marks} - {None}:
        if trouble := clear_user(uid):
            raise Fault(RESET_FAILED, trouble)


def clear_user(uid):
    """Removes everything of that user outside of what root has given it. Why that is not clean now, or None."""
    try:
        troubles = ipc.clear(uid) + strays.clear(uid)
    except OSError as error:
        troubles = [_said(error)]
    if not troubles:
        return None
    more = f" and {len(troubles) - MOST_NAMED} more" if len(troubles) > MOST_NAMED else ""
    return f"uid {uid} has left something outside its directory: {'; '.join(troubles[:MOST_NAMED])}{more}"


def remove_log(log):
    """With its rotated ones. Nobody writes to it while the bot is stopped."""
    for path in glob.glob(glob.escape(log)) + glob.glob(f"{glob.escape(log)}.[0-9]"):
        os.unlink(path)


def _reclaim(home, uid):
    """Modes and attributes of the directory itself as they were."""
    try:
        folder = _open_home(home)
        try:
            if uid is not None and os.fstat(folder).st_uid != uid:
                raise Fault(RESET_FAILED, f"{home} is not its user's")
            with acting_as(uid):
                for name in os.listxattr(folder):
                    if name.startswith(ATTRIBUTES):
                        os.removexattr(folder, name)
                os.fchmod(folder, stat.S_IRWXU)
        finally:
            os.close(folder)
    except OSError as error:
        raise Fault(RESET_FAILED, f"its directory cannot be taken back: {_said(error)}") from None


def _take(which, step, reset):
    if isinstance(step, Clear):
        _clear(which, step.keep, reset)
    else:
        _execute(which, step, reset)


def _clear(which, keep, reset):
    uid = reset.launch.uid
    try:
        folder = _open_home(reset.home)
        try:
            trees.prune(folder, keep, os.geteuid() if uid is None else uid)
        finally:
            os.close(folder)
    except OSError as error:
        raise Fault(RESET_FAILED, f"{which} (clear) failed: {_said(error)}") from None


def _execute(which, step, reset):
    """The program's arguments and input may hold secrets: they are not told."""
    try:
        ended = execute(step, reset.launch, reset.marks[0])
    except OSError as error:
        raise Fault(INTERNAL, f"{which} ({step.command[0]}) cannot be run: {_said(error)}") from None
    if ended.why is not None:
        raise Fault(RESET_FAILED, f"{which} ({step.command[0]}) {ended.why}; its output ends: {redact(ended.output, reset.secrets) or '(nothing)'}")


def _open_home(home):
    parent = os.open(os.path.dirname(home), DIRECTORY)
    try:
        return trees.open_writable(parent, os.path.basename(home))
    finally:
        os.close(parent)


def _said(error):
    return f"{error.strerror}{'' if error.filename is None else f': {error.filename!r}'}"
