"""The assignment problem behind matching: failing companies, k places each, healthy companies.

Which healthy company fills which place is chosen so that, in this order,

1. as many places as possible are filled,
2. evenly: no company gets a second control while the choice could be changed so that another gets
   its first, and so on for a third,
3. the sum of |difference in size| is least,
4. and, among sums that differ by less than a millionth per pair, the first companies are taken.

A healthy company of several years is one company and fills one place, so that failing companies of
different years compete: groups that share a healthy company are solved as one problem, and others
(sectors, where every sector is known) each on its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Group:
    """Failing companies of one year and sector, and the healthy ones that each may be given.

    Companies are positions in order of company_id, each once; sizes are logs of total assets.
    """

    failing: Ints
    healthy: Ints
    failing_size: Floats
    healthy_size: Floats

    def reach(self) -> float:
        """The greatest difference in size, or more."""
        sizes = np.concatenate([self.failing_size, self.healthy_size])
        return float(sizes.max() - sizes.min())


def assign(groups: list[Group], k: int, nearest: int = 50) -> tuple[Ints, Ints]:
    """Positions of the failing and of the healthy company of each pair.

    Args:
        groups: who may be paired with whom; a failing company stands in one group.
        k: places of each failing company.
        nearest: candidates of each to begin with. It decides how long it takes, never the result.
    """
    failing, healthy = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for component in _components(groups):
        f_ids = np.unique(np.concatenate([g.failing for g in component]))
        h_ids = np.unique(np.concatenate([g.healthy for g in component]))
        local = tuple(
            Group(
                np.searchsorted(f_ids, g.failing), np.searchsorted(h_ids, g.healthy),
                g.failing_size, g.healthy_size,
            )
            for g in component
        )  # fmt: skip
        f, h = _optimal(_Task(local, len(f_ids), len(h_ids), min(k, len(h_ids))), nearest)
        failing.append(f_ids[f])
        healthy.append(h_ids[h])
    return np.concatenate(failing), np.concatenate(healthy)


def _components(groups: list[Group]) -> Iterator[tuple[Group, ...]]:
    """Groups that share a healthy company, directly or through others: they compete for it."""
    if not groups:
        return
    row = np.repeat(np.arange(len(groups)), [len(g.healthy) for g in groups])
    column = np.concatenate([g.healthy for g in groups])
    member = csr_array((np.ones(len(row)), (row, column)))
    count, component = connected_components(member @ member.T, directed=False)
    for number in range(count):
        yield tuple(groups[at] for at in np.flatnonzero(component == number))


@dataclass(frozen=True)
class _Task:
    """One assignment problem: k places for each failing company, of which any may stay empty.

    Costs are whole numbers below 2**50, so that sums and differences of doubles are exact: `unit`
    turns a difference of log assets into one. The second place of a company costs `place` more
    than its first, which is more than all differences together; an empty place costs `empty`,
    more than any place that is filled.
    """

    groups: tuple[Group, ...]
    n_failing: int
    n_healthy: int
    k: int

    @cached_property
    def unit(self) -> float:
        """A power of two: what a difference of 1 in log assets costs."""
        most = self.k**2 * self.n_failing * self._reach
        return float(2.0 ** np.floor(50 - np.log2(most)))

    @cached_property
    def place(self) -> float:
        """What each further place of a company costs."""
        return float(np.floor(self.k * self.n_failing * self._reach * self.unit))

    @property
    def empty(self) -> float:
        """What an empty place costs."""
        return self.k * self.place

    @cached_property
    def _reach(self) -> float:
        return 1 + max(group.reach() for group in self.groups)

    def cost(self, group: Group, part: slice) -> Floats:
        """Costs (failing companies of the part, healthy companies of the group).

        Up to a millionth is added so that, of equal choices, the first failing company gets a
        further control, the first healthy ones are taken, and first goes with first.
        """
        difference = np.abs(group.failing_size[part, None] - group.healthy_size)
        late = group.failing[part, None] / self.n_failing
        tie = 0.5e-6 * (late + (1 - late / 2) * group.healthy / self.n_healthy)
        return np.asarray(np.floor(difference * self.unit) + np.floor(tie * self.unit))


@dataclass(frozen=True)
class _Edges:
    """Pairs that may be made and what they cost, in order of failing and healthy company."""

    failing: Ints
    healthy: Ints
    cost: Floats

    @classmethod
    def joined(cls, parts: list[_Edges]) -> _Edges:
        """Several sets of edges as one."""
        failing, healthy, cost = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("failing", "healthy", "cost")
        )
        order = np.lexsort((healthy, failing))
        return cls(failing[order], healthy[order], cost[order])


def _optimal(task: _Task, nearest: int) -> tuple[Ints, Ints]:
    """The best pairs of a task: positions of failing and of healthy companies.

    All pairs that may be made can be too many to hold, so it is solved over the nearest candidates
    of each failing company. The prices of healthy companies that follow tell which pairs left out
    could better it; they are added, and it is solved again until there is none. Then the solution
    is the best over all pairs (Ahuja, Magnanti & Orlin 1993, Network Flows, chapter 9: reduced
    cost optimality). Whenever it got better the pairs of least use are let go, which bounds what is
    held; it cannot get better without end, so that this ends.
    """
    nobody, everyone = np.zeros(task.n_healthy), np.full(task.n_failing, np.inf)
    edges, least = _below(task, nobody, everyone, nearest), (np.inf, np.inf, np.inf)
    while True:
        chosen, place = _solved(task, edges)
        price, worth = _prices(task, edges, chosen, place)
        better = _below(task, price, worth, nearest)
        if not len(better.cost):
            return edges.failing[chosen], edges.healthy[chosen]
        # Not one sum: that of all empty places is too large to be exact.
        value = (-len(chosen), float(place.sum()), float(edges.cost[chosen].sum()))
        if value < least:
            least = value
            slack = edges.cost + price[edges.healthy] - worth[edges.failing]
            edges = _useful(edges, chosen, slack, nearest)
        edges = _Edges.joined([edges, better])


def _useful(edges: _Edges, chosen: Ints, slack: Floats, width: int) -> _Edges:
    """The chosen pairs and, of each failing company, the `width` of least slack."""
    start = np.flatnonzero(np.diff(edges.failing, prepend=-1))
    many = np.diff(start, append=len(slack))
    rank = np.empty(len(slack), dtype=np.int64)
    rank[np.lexsort((slack, edges.failing))] = np.arange(len(slack)) - np.repeat(start, many)
    keep = rank < width
    keep[chosen] = True
    return _Edges(edges.failing[keep], edges.healthy[keep], edges.cost[keep])


def _below(task: _Task, price: Floats, worth: Floats, width: int) -> _Edges:
    """Pairs whose cost and price are below the worth of a place: the `width` best of each."""
    found = []
    for group in task.groups:
        step = max(1, 2_000_000 // len(group.healthy))  # bounds the memory of a large group
        for at in range(0, len(group.failing), step):
            found.append(_below_in(task, group, slice(at, at + step), price, worth, width))
    return _Edges.joined(found)


def _below_in(
    task: _Task, group: Group, part: slice, price: Floats, worth: Floats, width: int
) -> _Edges:  # fmt: skip
    cost, failing = task.cost(group, part), group.failing[part]
    total = cost + price[group.healthy]
    last = min(width, len(group.healthy)) - 1
    at = np.argpartition(total, last, axis=1)[:, : last + 1]
    good = np.take_along_axis(total, at, axis=1) < worth[failing, None]
    return _Edges(
        np.broadcast_to(failing[:, None], at.shape)[good],
        group.healthy[at[good]],
        np.take_along_axis(cost, at, axis=1)[good],
    )


def _solved(task: _Task, edges: _Edges) -> tuple[Ints, Ints]:
    """The best assignment over some edges: which edges, and which place each fills.

    Rows are places, columns healthy companies. The fewer of them each have one cell more, to stay
    empty or free; as the number of pairs decides how many of the others do, that costs the same.
    """
    places = task.n_failing * task.k
    fewer = np.arange(min(places, task.n_healthy))
    more_row, more_column = (
        (fewer, task.n_healthy + fewer) if places <= task.n_healthy else (places + fewer, fewer)
    )
    number = np.arange(task.k)[:, None]
    row = np.concatenate([(edges.failing * task.k + number).ravel(), more_row])
    column = np.concatenate([np.tile(edges.healthy, task.k), more_column])
    cost = np.concatenate(
        [(edges.cost + task.place * number).ravel(), np.full(len(fewer), task.empty)]
    )
    shape = (max(places, row.max() + 1), max(task.n_healthy, column.max() + 1))
    # The solver takes 0 for no cell.
    filled, healthy = min_weight_full_bipartite_matching(
        csr_array((cost + 1, (row, column)), shape)
    )
    pairs = (filled < places) & (healthy < task.n_healthy)
    filled, healthy = filled[pairs], healthy[pairs]
    keys = edges.failing * task.n_healthy + edges.healthy
    return np.searchsorted(keys, filled // task.k * task.n_healthy + healthy), filled % task.k


def _prices(task: _Task, edges: _Edges, chosen: Ints, place: Ints) -> tuple[Floats, Floats]:
    """Price of each healthy company, and what the first place of each failing one is worth.

    The price is what it would cost to do without that company: 0 for one that is free, else the
    shortest way through the edges to one that is free or to an empty place (Bellman and Ford).
    """
    start = np.flatnonzero(np.diff(edges.failing, prepend=-1))  # every failing company has edges
    taken, owner = edges.healthy[chosen], edges.failing[chosen]
    price = np.zeros(task.n_healthy)
    price[taken] = np.inf
    while True:
        best = np.minimum.reduceat(edges.cost + price[edges.healthy], start)
        without = np.minimum(best[owner], task.empty - place * task.place) - edges.cost[chosen]
        if np.array_equal(without, price[taken]):
            return price, np.minimum(best, task.empty)
        price[taken] = without
