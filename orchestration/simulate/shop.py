"""Who shops there and what is sold: drawn once from the seed, then only read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

DEFAULT_START = datetime(2025, 9, 1, tzinfo=UTC)
"""A fixed day, so that the same arguments give the same files whenever they are called."""

FEATURED_PRODUCTS = ("sku-0001", "sku-0042")
"""Products for engaged_with_product: the best seller of a category, and one in the middle of another's range."""

CATEGORIES = (
    "shoes", "jackets", "backpacks", "tents", "lamps", "kettles",
    "bicycles", "helmets", "gloves", "books", "maps", "bottles",
)  # fmt: skip
PRODUCTS_PER_CATEGORY = 25
DEVICES = 3

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
NEVER_MS = np.int64(2**62)

REFUSED_CONSENT_SHARE = 0.03
STATED_CONSENT_SHARE = 0.5
SKEWED_DEVICE_SHARE = 0.04
LEAVING_SHARE = 0.45
NEWCOMER_SHARE = 0.4


@dataclass(frozen=True)
class Population:
    """One element a person; times in milliseconds since 1970, clocks' errors in milliseconds, a column a device."""

    joined_ms: Ints
    left_ms: Ints
    device_count: Ints
    clock_error_ms: Ints
    consent: Ints
    is_never_known: Flags
    favourite: Ints
    activity: Floats
    faithful: Ints

    @property
    def size(self) -> int:
        return len(self.joined_ms)


def make_population(seed: int, users: int, begin_ms: int, end_ms: int, anonymous_share: float) -> Population:
    """`users` people of a shop observed from `begin_ms` to `end_ms`. A fifth of them makes most of the visits."""
    rng = np.random.default_rng([seed, 0])
    span = end_ms - begin_ms
    is_newcomer = rng.random(users) < NEWCOMER_SHARE
    joined = np.where(is_newcomer, begin_ms + (rng.random(users) * span).astype(np.int64), begin_ms - DAY_MS)
    leaves = rng.random(users) < LEAVING_SHARE
    # The first person neither joins nor leaves, so that there is somebody to visit at any time.
    is_newcomer[0] = leaves[0] = False
    joined[0] = begin_ms - DAY_MS
    left = np.where(leaves, joined + (rng.random(users) * span).astype(np.int64), NEVER_MS)
    error = np.exp(rng.uniform(np.log(MINUTE_MS), np.log(2 * DAY_MS), (users, DEVICES)))
    error *= np.where(rng.random((users, DEVICES)) < 0.5, -1, 1)
    error *= rng.random((users, DEVICES)) < SKEWED_DEVICE_SHARE
    consent_draw = rng.random(users)
    weights = rng.lognormal(0, 1.2, users)
    return Population(
        joined_ms=joined,
        left_ms=left,
        device_count=rng.choice([1, 2, 3], users, p=[0.55, 0.35, 0.10]).astype(np.int64),
        clock_error_ms=error.astype(np.int64),
        consent=np.select(
            [consent_draw < REFUSED_CONSENT_SHARE, consent_draw < REFUSED_CONSENT_SHARE + STATED_CONSENT_SHARE],
            [2, 1],
            0,
        ),
        is_never_known=rng.random(users) < anonymous_share,
        favourite=rng.integers(0, len(CATEGORIES), users),
        activity=np.cumsum(weights) / weights.sum(),
        faithful=np.flatnonzero(~is_newcomer & ~leaves),
    )


def choose_people(rng: np.random.Generator, population: Population, at_ms: Ints) -> Ints:
    """Somebody for each visit, by how active people are, who has joined and not left at that time."""
    people = np.searchsorted(population.activity, rng.random(len(at_ms)))
    for _ in range(4):
        is_away = (at_ms < population.joined_ms[people]) | (at_ms >= population.left_ms[people])
        people[is_away] = np.searchsorted(population.activity, rng.random(int(is_away.sum())))
    is_away = (at_ms < population.joined_ms[people]) | (at_ms >= population.left_ms[people])
    people[is_away] = rng.choice(population.faithful, int(is_away.sum()))
    return people.astype(np.int64)


def catalogue() -> pa.Table:
    """The products, the same for every seed: number from 0, id, category, price in cents (3.50 to about 350.00)."""
    rng = np.random.default_rng(20250901)
    number = np.arange(len(CATEGORIES) * PRODUCTS_PER_CATEGORY)
    cents = np.round(np.exp(rng.uniform(np.log(350), np.log(35_000), len(number)))).astype(np.int64)
    return pa.table(
        {
            "product": number,
            "product_id": [f"sku-{n + 1:04d}" for n in number],
            "category": [CATEGORIES[n % len(CATEGORIES)] for n in number],
            "price_cents": cents,
        }
    )


def rhythm(begin_ms: int, end_ms: int) -> tuple[Floats, Floats]:
    """The share of visits begun up to each time, as (shares, times): quiet nights, busy evenings, weekends busier."""
    times = np.linspace(begin_ms, end_ms, max(2, int((end_ms - begin_ms) / (15 * MINUTE_MS)) + 1))
    middles = (times[:-1] + times[1:]) / 2
    hour = middles / HOUR_MS % 24
    is_weekend = (middles / DAY_MS + 3) % 7 >= 5  # 1970-01-01 was a Thursday
    busy = 1.0 + 0.85 * np.sin((hour - 10.5) / 24 * 2 * np.pi) + np.where(is_weekend, 0.25, 0.0)
    shares = np.concatenate([[0.0], np.cumsum(busy) / busy.sum()])
    return shares, times
