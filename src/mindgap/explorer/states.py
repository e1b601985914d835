"""Everything that the explorer shows of two modalities, computed before the page is opened.

A state is what a shift, or a method that changes the gap, makes of the rows: where they lie in a
plane, how large the gap is, what a query finds. Products of the untouched rows serve every shift,
see `mindgap.shift.moves`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mindgap.api.fixes import DROP
from mindgap.downstream.methods import all_methods
from mindgap.downstream.mixed import ndcg
from mindgap.downstream.rows import UnitRows
from mindgap.downstream.trial import accuracy, class_means, split, with_lengths
from mindgap.gap.estimators import modality_gap
from mindgap.gap.retrieval import TIE, recall
from mindgap.shift.moves import amounts, gap_direction, reciprocal_norms, shifted_distance

#: Nearest rows that are shown of each modality.
NEAREST = 5
#: Half of the pairs fit the methods, the other half shows what they do.
CALIBRATION = 0.5


@dataclass(frozen=True)
class Plane:
    """The plane in which the pairs are drawn.

    Attributes
    ----------
    u
        (d,) unit gap vector, from the mean of b to the mean of a.
    v
        (d,) first principal direction of the rows of both modalities, each less its mean, across
        u; zero where the rows do not vary across u.
    """

    u: np.ndarray
    v: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> Plane:
        """The plane of matched unit rows (n, d)."""
        u = gap_direction(x, y)
        rows = np.concatenate([x - x.mean(axis=0), y - y.mean(axis=0)])
        rows -= np.outer(rows @ u, u)
        v = np.linalg.eigh(rows.T @ rows)[1][:, -1]
        v -= (v @ u) * u
        length = np.linalg.norm(v)
        if length < 1e-6 or not rows.any():
            return cls(u, np.zeros_like(u))
        # An eigenvector has no sign of its own.
        return cls(u, v / (length * np.sign(v[np.abs(v).argmax()])))

    def points(self, rows: np.ndarray) -> np.ndarray:
        """Coordinates of rows along u and along v, (2, n)."""
        return np.stack([rows @ self.u, rows @ self.v])


def shifted_points(points: np.ndarray, by: float) -> np.ndarray:
    """Where unit rows with coordinates (2, n) come to lie when they are moved by `by` u."""
    along, across = points
    return np.stack([along + by, across]) * reciprocal_norms(along, by)


@dataclass(frozen=True)
class State:
    """What n pairs are like under one shift or one method.

    Attributes
    ----------
    numbers
        `gap` (with a sign under a shift), `cosine` of the matched pairs, R@1 as `recall_ab` and
        `recall_ba` (a tie is a miss), `ndcg`, the NDCG@10 of a mixed corpus, and, with labels,
        `accuracy` of zero-shot classification.
    ranks
        (2, n) rank from 0 of the partner, for a query of a among b and of b among a.
    nearest
        (4, n, k) nearest rows, best first, for queries of a among a and b, of b among a and b. A
        row is no neighbour of itself.
    """

    numbers: dict[str, float]
    ranks: np.ndarray
    nearest: np.ndarray


@dataclass(frozen=True)
class MethodState:
    """A method, and the state of held-out pairs with their coordinates a, b in the plane."""

    name: str
    about: str
    state: State
    points: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Explored:
    """Everything that the page shows of two modalities of n pairs.

    Attributes
    ----------
    points
        (2, n) coordinates of both modalities in the plane, untouched.
    shifts
        (S,) lengths along u; each modality moves by half.
    states
        The state of all pairs at each shift.
    held
        Pairs, in order, on which the methods are shown.
    methods
        The state of these pairs with each method; the first one changes nothing.
    """

    points: tuple[np.ndarray, np.ndarray]
    shifts: np.ndarray
    states: list[State]
    held: np.ndarray
    methods: list[MethodState]


@dataclass(frozen=True)
class Pairs:
    """Matched unit rows, cut into those that methods and classes are fit on and the others.

    Attributes
    ----------
    x, y
        (n, d) rows.
    fit_on, held
        The two parts; `held` in random order.
    order
        All pairs in random order.
    text_share
        Share of the mixed corpus that shows its second modality.
    labels, classes
        (n,) number of the class of each pair and (c, d) vectors of the classes, or None.
    """

    x: np.ndarray
    y: np.ndarray
    fit_on: np.ndarray
    held: np.ndarray
    order: np.ndarray
    text_share: float
    labels: np.ndarray | None
    classes: np.ndarray | None

    @classmethod
    def of(
        cls,
        x: np.ndarray,
        y: np.ndarray,
        labels: np.ndarray | None = None,
        *,
        text_share: float,
        seed: int,
    ) -> Pairs:
        """Cut the pairs; the vector of a class is the mean of its texts in the first part."""
        fit_on, held = split(len(x), CALIBRATION, seed)
        order = np.random.default_rng(seed).permutation(len(x))
        classes = None
        if labels is not None:
            classes = class_means(y[fit_on], labels[fit_on], labels.max() + 1)
        return cls(x, y, fit_on, held, order, text_share, labels, classes)


def explore_pair(pairs: Pairs, shifts: np.ndarray) -> Explored:
    """Compute the states of two modalities at some shifts and with each method."""
    plane = Plane.of(pairs.x, pairs.y)
    return Explored(
        (plane.points(pairs.x), plane.points(pairs.y)),
        shifts,
        list(shift_states(pairs, shifts, plane.u)),
        np.sort(pairs.held),
        list(method_states(pairs, plane)),
    )


def measure_state(xx: np.ndarray, xy: np.ndarray, yy: np.ndarray, texts: np.ndarray) -> State:
    """Measure everything that follows from the cosines of n pairs, each (n, n).

    `texts` says which pairs a mixed corpus shows by their second modality. A pair asks in the
    modality that its document does not have, so no query meets itself.
    """
    matched = np.diagonal(xy)
    bar = matched[:, None] - TIE
    ranks = np.stack([(xy >= bar).sum(axis=1), (bar <= xy.T).sum(axis=1)]) - 1
    mixed = [
        np.where(texts, to_b, to_a)[asking] >= bar[asking]
        for to_a, to_b, asking in ((xx, xy, texts), (xy.T, yy, ~texts))
    ]
    numbers = {
        "cosine": float(matched.mean()),
        "recall_ab": recall(ranks[0], 1),
        "recall_ba": recall(ranks[1], 1),
        "ndcg": ndcg(np.concatenate(mixed).sum(axis=1) - 1),
    }
    nearest = np.stack(
        [_nearest(xx, True), _nearest(xy, False), _nearest(xy.T, False), _nearest(yy, True)]
    )
    return State(numbers, ranks, nearest)


def _nearest(cosines: np.ndarray, own: bool) -> np.ndarray:
    """(n, k) columns of the largest entries of each row; `own` leaves out the diagonal."""
    if own:
        cosines = cosines.copy()
        np.fill_diagonal(cosines, -np.inf)
    k = min(NEAREST, len(cosines) - 1)
    some = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
    order = np.lexsort((some, -np.take_along_axis(cosines, some, axis=1)))
    return np.take_along_axis(some, order, axis=1)


def shown_as_texts(items: np.ndarray, share: float) -> np.ndarray:
    """Which of some items, sorted, a corpus shows as texts: the first ones as they are given."""
    return np.isin(np.sort(items), items[: round(share * len(items))])


def _moved(
    products: np.ndarray, along: tuple[np.ndarray, np.ndarray], by: tuple[float, float]
) -> np.ndarray:
    """Cosines of two sets of unit rows after each has moved along u."""
    (p, q), (a, b) = along, by
    corrected = products + b * p[:, None] + (a * q + a * b)
    return corrected * reciprocal_norms(p, a)[:, None] * reciprocal_norms(q, b)


def shift_states(pairs: Pairs, shifts: np.ndarray, u: np.ndarray) -> Iterator[State]:
    """Yield the state of all pairs at each shift."""
    x, y, held = pairs.x, pairs.y, pairs.held
    texts = shown_as_texts(pairs.order, pairs.text_share)
    along_x, along_y = x @ u, y @ u
    xx, xy, yy = x @ x.T, x @ y.T, y @ y.T
    gaps = shifted_distance(x, y, u, shifts, "both")
    for gap, (a, b) in zip(gaps, amounts(shifts, "both"), strict=True):
        state = measure_state(
            _moved(xx, (along_x, along_x), (-a, -a)),
            _moved(xy, (along_x, along_y), (-a, b)),
            _moved(yy, (along_y, along_y), (b, b)),
            texts,
        )
        state.numbers["gap"] = float(gap)
        if pairs.classes is not None:
            scores = x[held] @ pairs.classes.T
            scores = _moved(scores, (along_x[held], pairs.classes @ u), (-a, b))
            hits = scores.argmax(axis=1) == pairs.labels[held]
            state.numbers["accuracy"] = float(hits.mean())
        yield state


def method_states(pairs: Pairs, plane: Plane) -> Iterator[MethodState]:
    """Yield the state of held-out pairs with each method, fit on the others."""
    x, y, fit_on = pairs.x, pairs.y, pairs.fit_on
    trained = UnitRows(x[fit_on], unit=True), UnitRows(y[fit_on], unit=True)
    held, texts = np.sort(pairs.held), shown_as_texts(pairs.held, pairs.text_share)
    for name, method in all_methods(list(DROP), x.shape[1]).items():
        to_a, to_b = method(*trained)
        a, b = (with_lengths(to(rows[held]), True) for to, rows in ((to_a, x), (to_b, y)))
        state = measure_state(a @ a.T, a @ b.T, b @ b.T, texts)
        state.numbers["gap"] = modality_gap(a, b)
        if pairs.classes is not None:
            classes = with_lengths(to_b(pairs.classes), True)
            state.numbers["accuracy"] = float(accuracy(a, classes, pairs.labels[held]).mean())
        about = (getattr(method, "func", method).__doc__ or "").partition("\n")[0]
        state = State(state.numbers, state.ranks, held[state.nearest])
        yield MethodState(name, about, state, (plane.points(a), plane.points(b)))
