"""Runs each of scenarios.py under both and compares what was seen."""
import concurrent.futures

import pytest

import better  # noqa: F401 (adds to SCENARIOS)
from intended import INTENDED
from scenarios import SCENARIOS
from sequence import Sequence


def run(scenario, home):
    """(what was seen, what went wrong, the transcript): the other half is told all the same."""
    sequence = Sequence(home)
    error = None
    try:
        scenario(sequence)
    except Exception as caught:  # noqa: BLE001 (told in the assertion's message)
        error = f"{type(caught).__name__}: {caught}"
    return sequence.seen, error, "\n".join(sequence.transcript)


def differences(expected, found):
    """{name: (pm2's, Baton's)}; a name that begins with "+" may be Baton's alone."""
    names = [*expected, *(name for name in found if name not in expected and name[0] != "+")]
    absent = "absent"
    return {name: (expected.get(name, absent), found.get(name, absent)) for name in names
            if expected.get(name, absent) != found.get(name, absent)}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_as_pm2(scenario, pair):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        (expected, pm2_error, _), (found, error, transcript) = \
            pool.map(lambda home: run(scenario, home), pair)
    assert pm2_error is None, f"the sequence does not work under pm2 itself: {pm2_error}"
    assert error is None, f"under Baton: {error}\n{transcript}"
    left = differences(expected, found)
    if pair[1].kind == "baton":
        left = without_intended(scenario.__name__, left)
    assert not left, "\n".join(f"{name}\n    pm2   {pair_[0]}\n    baton {pair_[1]}"
                               for name, pair_ in left.items()) + f"\n{transcript}"


def without_intended(scenario, left):
    """An intended difference that is not there any more is wrong in the list."""
    for one in INTENDED:
        if one.scenario != scenario:
            continue
        matching = [name for name in left if one.covers(name)]
        assert matching, f"{scenario}: '{one.name}' is the same now; {one.reason}"
        for name in matching:
            expected, found = left.pop(name)
            assert (expected, found) == (one.pm2, one.baton), \
                f"{name}: {expected!r} and {found!r} instead of {one.pm2!r} and {one.baton!r}"
    return left


def test_every_intended_difference_has_its_scenario():
    names = {scenario.__name__ for scenario in SCENARIOS}
    assert {one.scenario for one in INTENDED} <= names
    assert all(one.reason for one in INTENDED)
