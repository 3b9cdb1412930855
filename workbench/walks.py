"""Walks: customers followed from the entering trigger through the flow, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from workbench.endpoints import codes_of, follow_outcome, follow_return, within
from workbench.flow import ADOPTION, Flow
from workbench.iterations import Span
from workbench.keys import NEVER, Array, Flags, Ints, Share, Taken, at_once

OPPORTUNITY = "(opportunity)"


@dataclass(frozen=True)
class Entries:
    """Who entered the flow and how far they got: one element a customer and iteration.

    `customer` is a number, `span` an iteration's place, `entered` the time of the entering trigger
    in microseconds since 1970. `values` has for each grouping the places of levels. `after` says
    for each metric so many microseconds after the trigger it was reached, -1 for never; for
    OPPORTUNITY when the trigger was met again. Entries are in order of customer and time.
    """

    customer: Ints
    span: Ints
    entered: Ints
    values: Mapping[str, Array] = field(default_factory=dict)
    after: Mapping[str, Ints] = field(default_factory=dict)

    def of(self, those: Array) -> Entries:
        """Give some of the entries, by place."""
        return self._like([each.take(those) for each in self.arrays])

    def joined(self, others: Sequence[Entries]) -> Entries:
        """Put the entries of other shares behind these."""
        arrays = zip(*(each.arrays for each in (self, *others)), strict=True)
        return self._like(at_once(np.concatenate, arrays)) if others else self

    @property
    def arrays(self) -> list[Array]:
        """Every array, in one order."""
        return [
            self.customer,
            self.span,
            self.entered,
            *self.values.values(),
            *self.after.values(),
        ]

    def _like(self, arrays: Sequence[Array]) -> Entries:
        customer, span, entered, *rest = arrays
        values = dict(zip(self.values, rest, strict=False))
        after = dict(zip(self.after, rest[len(values) :], strict=True))
        return Entries(customer, span, entered, values, after)


def walk(
    share: Share,
    flow: Flow,
    spans: Sequence[Span],
    missing: Mapping[str, int],
    twice: Flags | None = None,
) -> tuple[Entries, Entries]:
    """Follow a share's customers; give also the entries of crossovers, who are not followed.

    `missing` gives for each experiment among the rows' groupings the value that stands for none;
    `twice` tells by number which customers are crossovers already.
    """
    entries = _enter(share, flow, spans)
    crossed = np.zeros(len(entries.customer), dtype=bool)
    end = np.array([min(span.end, share.scale.start + share.scale.width) for span in spans])
    for column, none in missing.items():
        crossed |= _crossed(entries, end[entries.span], share, len(flow.events), column, none)
    if twice is not None:
        crossed |= twice[entries.customer]
    if not crossed.any():
        return _follow(entries, share, flow), entries.of(np.flatnonzero(crossed))
    followed = entries.of(np.flatnonzero(~crossed))
    return _follow(followed, share, flow), entries.of(np.flatnonzero(crossed))


def _enter(share: Share, flow: Flow, spans: Sequence[Span]) -> Entries:
    """Give each customer's first trigger in each iteration, with the values there.

    Of several rows at that time, each grouping takes the smallest value that is none missing.
    """
    keys, values = share.rows(len(flow.trigger))
    by_time, scale = np.argsort(keys), share.scale
    keys = keys.take(by_time)
    place = scale.places(keys)
    at = keys - place * scale.width + scale.start
    order = sorted(range(len(spans)), key=lambda each: spans[each].start)
    edges = [edge for each in order for edge in (spans[each].start, spans[each].end)]
    edge = np.searchsorted(edges, at, side="right")  # odd inside an iteration
    first = edge % 2 == 1
    first[1:] &= (place[1:] != place[:-1]) | (edge[1:] != edge[:-1])
    begin = np.flatnonzero(first)
    smallest = {column: each.take(by_time.take(begin)) for column, each in values.items()}
    tied = np.flatnonzero(keys[begin] == np.append(keys, NEVER)[begin + 1])
    after = np.searchsorted(keys, keys[begin[tied]], side="right")
    for column, each in smallest.items() if len(tied) else ():
        in_order = np.append(values[column].take(by_time), each[0])
        runs = np.column_stack([begin[tied], after]).ravel()
        each[tied] = np.minimum.reduceat(in_order, runs)[::2]
    span = np.array(order, dtype=np.int64).take(edge.take(begin) // 2)
    return Entries(place.take(begin) + scale.lowest, span, at.take(begin), smallest)


def _crossed(
    entries: Entries, ends: Ints, share: Share, codes: int, column: str, missing: int
) -> Flags:
    """Find whose rows show two values from the trigger to the iteration's end."""
    found, scale = np.zeros(len(entries.customer), dtype=bool), share.scale
    keys, columns = share.rows(codes)
    values, customer = columns[column], scale.places(keys)
    one = np.full(scale.customers, missing, dtype=values.dtype)
    one[customer] = values
    several = np.zeros(scale.customers, dtype=bool)
    several[customer[one[customer] != values]] = True
    who = np.flatnonzero(several[entries.customer - scale.lowest])
    if not len(who):
        return found
    those = several[customer] & (values != missing)
    keys, values = keys[those], values[those]
    begin = scale.keys(entries.customer[who], entries.entered[who])
    end = scale.keys(entries.customer[who], ends[who])
    kinds = np.zeros(len(who), dtype=np.int64)
    for value in np.unique(values):
        of_value = np.sort(keys[values == value])
        kinds += np.searchsorted(of_value, begin) < np.searchsorted(of_value, end)
    found[who] = kinds > 1
    return found


def _follow(entries: Entries, share: Share, flow: Flow) -> Entries:
    """Take step after step, then adoption and the outcome: the specification as it reads."""
    entered = share.scale.keys(entries.customer, entries.entered)
    last = ends = share.scale.ends(entries.customer)
    until = within(entered, flow.window, last)
    going, shared = np.arange(len(entered)), codes_of(flow, flow.shared_events)
    taken = Taken.at(entered)
    if shared:
        taken = share.first(codes_of(flow, flow.trigger), entered, entered)
    used = {code: np.where(taken.serves(code), taken.row + 1, 0) for code in shared}
    served, after = [(going, taken)], {flow.need_met: np.zeros_like(entered)}
    for step in () if flow.trigger_meets_need else flow.steps:
        taken = share.first(codes_of(flow, step.events), taken.key, until, used)
        went = np.flatnonzero(taken.key != NEVER)
        taken, going = taken.of(went), going.take(went)
        until, ends = until.take(went), ends.take(went)
        used = {
            code: np.where(taken.serves(code), taken.row + 1, rows.take(went))
            for code, rows in used.items()
        }
        served.append((going, taken))
        after[step.name] = _since(entered, going, taken.key)
    if flow.follows_return:
        again, returned = follow_return(taken.key, share, flow, ends)
        after |= {OPPORTUNITY: _since(entered, going, again)}
        after |= {ADOPTION: _since(entered, going, returned)}
    if flow.outcome is not None:
        outcome = follow_outcome(entered, share, served, flow, last)
        after[flow.outcome.name] = _since(entered, np.arange(len(entered)), outcome)
    return replace(entries, after=after)


def _since(entered: Ints, those: Ints, key: Ints) -> Ints:
    """Give for all entries how long after the trigger some of them got to a key."""
    after = np.full(len(entered), -1)
    after[those] = np.where(key == NEVER, -1, key - entered.take(those))
    return after
