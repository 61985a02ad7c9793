"""Something that happens again and again under a load, and costs nobody anything.

BATON_REQUESTS=5000 makes each load so long (`make soak` does)."""
import os

import pytest

from .clients import KeptLoad, Load, outcomes
from .wait import PATIENCE

REQUESTS = int(os.environ.get("BATON_REQUESTS", "300"))
PATIENT = ("--listen-timeout", str(PATIENCE * 1000))  # the usual 3 s are few on a busy machine
KINDS = pytest.mark.parametrize("kind", [Load, KeptLoad], ids=["short", "keep-alive"])


def all_ok(load):
    assert outcomes(load.replies) == {"ok": len(load.replies)}


def load_until(load, act, least=2):
    """Acts so often at least, and until there were enough requests."""
    acted = 0
    while len(load.replies) < REQUESTS or acted < least:
        load.wait_more(50, 20)
        act()
        acted += 1
    load.wait_more(50, 20)
    print(f"{acted} times, {outcomes(load.replies)}")
