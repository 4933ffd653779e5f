"""How a process ended, from the status that wait gives."""

import os
import signal


def describe_exit(status):
    """(code and signal as ExitObservation has them, a few words for people)."""
    if os.WIFSIGNALED(status):
        name = _signal_name(os.WTERMSIG(status))
        return {"code": None, "signal": name}, f"killed by {name}"
    code = os.WEXITSTATUS(status)
    return {"code": code, "signal": None}, f"exited with code {code}"


def _signal_name(number):
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"  # a real-time signal
