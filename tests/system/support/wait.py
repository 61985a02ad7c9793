"""Waiting for a condition instead of giving it some time."""
import time

PATIENCE = 30  # a limit is for what hangs: on a busy machine anything else may take this long


def until(condition, timeout, what):
    """The first true value of condition(); an AssertionError that says `what` after `timeout` s, or
    PATIENCE, if that is longer."""
    timeout = max(timeout, PATIENCE)
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            description = what() if callable(what) else what
            raise AssertionError(f"waited {timeout} s in vain: {description}")
        time.sleep(0.01)
