"""Which customers a look is about: a function of the data, however often somebody looks.

A fixed analysis with a frozen size tests everybody who entered up to the cut, the first entry at which
every arm has so many entrants; planned looks have a cut each. Pending customers never change who is
in. Without such a size, and where it is not reached, the end of the iteration decides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.schema.hypothesis import Hypothesis

Times = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cut:
    """One planned look: its size per arm, and when the last customer entered who is in.

    `until` is in microseconds since 1970, and None while not every arm has so many entrants.
    """

    size: int
    until: int | None


def cuts(claim: Hypothesis, planned: int | None, arms: Sequence[Times | None]) -> Iterator[Cut]:
    """Yield the cuts of an analysis, up to the first that is not reached.

    Args:
        claim: The hypothesis.
        planned: The customers per arm that it waits for; None for none.
        arms: When the customers of each arm entered, in microseconds since 1970; None for data
            without times, which have no cut.

    >>> claim = Hypothesis.model_validate({
    ...     "name": "a", "statement": "It helps.", "metric": "paid", "iteration": "1",
    ...     "control": {"group": "old"}, "treatment": {"group": "new"}})
    >>> list(cuts(claim, 2, [np.array([1, 5, 9]), np.array([3, 4])]))
    [Cut(size=2, until=5)]
    """
    known = [each for each in arms if each is not None]
    if planned is None or claim.analysis == "anytime" or len(known) < len(arms):
        return
    looks = claim.looks or 1
    for look in range(1, looks + 1):
        size = math.ceil(look * planned / looks)
        enough = all(len(each) >= size for each in known)
        until = (
            max(int(np.partition(each, size - 1)[size - 1]) for each in known) if enough else None
        )
        yield Cut(size, until)
        if until is None:
            return
