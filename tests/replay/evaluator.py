"""What the pipeline must hold after any history: an evaluator that shares nothing with it but the semantics page.

It reads lines, keeps the copy that counts, follows the links, and judges each user's events by brute force. The key of
an event is the loader's choice, so it is given: `key_of` maps a copy key (event_id, known_user_id, anonymous_id,
client_time in microseconds) to the event_key.

Where the page leaves room, this is what was read into it:

 1. "becomes that time" (the future, section 1): an event too far ahead lands on received_at (else loaded_at) itself,
    not 5 minutes after it; `Rules.future_lands_at` is the other reading.
 2. Copies that agree in received_at and in text: the one loaded first counts. They can differ in occurred_at only
    where no received_at is there and the clock of a batch had to limit both.
 3. Links: only rows that count make them. A losing copy says nothing about when its ids met.
 4. Blanks to trim are ASCII white space; a time is not trimmed (it is spelled as the page says, or absent).
 5. Text that is a number: an optional sign, digits with or without a point, an optional exponent. What does not fit
    decimal(18,4) is missing.
 6. Times of day are 00:00:00 to 23:59:59; there is no 24:00 and no leap second. Offsets reach from -23:59 to +23:59.
 7. Several reasons to refuse a line: the first in the order of the page. `too_large` has no number on the page, and is
    left to the loader's tests, as is what an empty line means.
 8. A type that names no call of its own (absent, unknown, other capitals) is judged by `event`, as a track call is.
 9. A rule that names a passive event (a view, if someone lists it) finds it in the visit that spans its time, if any.
    n of time_on_page may be passive.
10. time_on_page: of simultaneous views the smallest key among those that hold. Simultaneous views on other pages are
    not after t0. After the visit's end nothing bounds x, for x is in the visit.
11. related_product_views in two categories at once: the row whose event_keys are smallest, key by key, in byte order.
12. Evidence is a set: an event that takes two places (the visit's first event is the view of X) is listed once.
13. Simultaneous sign-ins are as many sign-ins; for the first n of the day the smallest keys.
14. Durations in observed_value and threshold_value are seconds, whatever unit the seed uses.
15. Several products in X: a view of any of them.
16. complete_through: the greatest received_at over the usable rows of a batch, copies included; where no row of the
    batch has one, the greatest occurred_at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from hashlib import md5

from tests.replay.profiling import Profile, profile_of
from tests.replay.reading import Event, Refused, consented, first_links, read_line
from tests.replay.rules import ABSENCE, TRIGGERS, Owned, Rules, Visit, split_visits

CopyKey = tuple[str, str | None, str | None, int | None]
SCALE = Decimal("0.00000001")


@dataclass(frozen=True, slots=True, order=True)
class Match:
    """A row of triggers.trigger_matches; times in microseconds."""

    trigger_name: str
    user_id: str
    matched_at: int
    variant: str
    is_absence: bool
    window_started_at: int
    event_keys: tuple[str, ...]
    observed_value: Decimal
    threshold_value: Decimal
    linked_anonymous_ids: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str, int]:
        return (self.trigger_name, self.user_id, self.matched_at)


@dataclass(frozen=True, slots=True)
class Counts:
    """The accounting of one batch, and how far its data says it is complete."""

    read: int
    loaded: int
    duplicate: int
    quarantined: int
    superseded: int
    complete_through: int | None


@dataclass(frozen=True)
class Truth:
    """Everything that is true of the events loaded so far."""

    visits: dict[str, list[Visit]]
    matches: set[Match]
    owners: dict[str, str]


def any_key(copy_key: CopyKey) -> str:
    """A key for tests that have no loader: even in its order, so that ties are broken by nothing meaningful."""
    return md5(repr(copy_key).encode(), usedforsecurity=False).hexdigest()


@dataclass
class Evaluator:
    """Load batches in any order, ask for the truth after any of them."""

    rules: Rules = field(default_factory=Rules)
    key_of: Callable[[CopyKey], str] = any_key
    winners: dict[CopyKey, Event] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    _seq: int = 0
    _judged: dict[str, tuple[tuple[Owned, ...], list[Visit], list[Match]]] = field(default_factory=dict)

    def load(self, batch_id: int, lines: Sequence[str], loaded_at: int) -> Counts:
        """Take one batch; `loaded_at` is its clock, in microseconds."""
        before = dict(self.winners)
        usable: list[Event] = []
        for text in lines:
            self._seq += 1
            row = read_line(text, batch_id, self._seq, loaded_at, self.rules.future_lands_at)
            if isinstance(row, Refused):
                self.refused.append(row)
                continue
            usable.append(row)
            held = self.winners.get(row.copy_key)
            if held is None or row.merit < held.merit:
                self.winners[row.copy_key] = row
        fresh = [row for row in usable if self.winners[row.copy_key] is row]
        received = [row.received_at for row in usable if row.received_at is not None]
        return Counts(
            read=len(lines),
            loaded=len(fresh),
            duplicate=len(usable) - len(fresh),
            quarantined=len(lines) - len(usable),
            superseded=sum(row.copy_key in before for row in fresh),
            complete_through=max(received or [row.occurred_at for row in usable], default=None),
        )

    def use_keys(self, keys: Mapping[CopyKey, str]) -> None:
        """The event_keys as the loader made them."""
        self.key_of = keys.__getitem__

    def change(self, rules: Rules) -> None:
        """Other numbers from here on; what was read stays read."""
        self.rules, self._judged = rules, {}

    def events_by_user(self) -> dict[str, tuple[Owned, ...]]:
        """Each user's events in the order of (occurred_at, event_key)."""
        links = first_links(self.winners.values())
        users: dict[str, list[Owned]] = {}
        for copy_key, event in self.winners.items():
            owner = event.known_user_id or links.get(event.anonymous_id or "") or f"anon:{event.anonymous_id}"
            is_linked = event.known_user_id is None and not owner.startswith("anon:")
            users.setdefault(owner, []).append(Owned(self.key_of(copy_key), event, is_linked))
        return {
            user: tuple(sorted(events, key=lambda one: (one.at, one.key))) for user, events in sorted(users.items())
        }

    def refusals(self, category: str) -> set[str]:
        """Users whose latest word on the consent category is no; of simultaneous words the refusal counts."""
        refused = set()
        for user, events in self.events_by_user().items():
            said = [(one.at, word) for one in events if (word := consented(one.event.consent, category)) is not None]
            if said and not min(word for at, word in said if at == max(said)[0]):
                refused.add(user)
        return refused

    def profiles(self, kinds: Mapping[str, str]) -> list[Profile]:
        """Of everybody who ever identified; `kinds`: which traits are addresses, and of what kind."""
        found = (profile_of(user, events, kinds) for user, events in self.events_by_user().items())
        return [one for one in found if one is not None]

    def truth(self) -> Truth:
        """Judge every user; those whose events are the same as last time are not judged again."""
        users = self.events_by_user()
        for user, events in users.items():
            if user not in self._judged or self._judged[user][0] != events:
                visits = split_visits(events, self.rules)
                self._judged[user] = (events, visits, judge_user(user, events, visits, self.rules))
        return Truth(
            visits={user: self._judged[user][1] for user in users},
            matches={match for user in users for match in self._judged[user][2]},
            owners={one.key: user for user, events in users.items() for one in events},
        )


def judge_user(user: str, events: Sequence[Owned], visits: Sequence[Visit], rules: Rules) -> list[Match]:
    """All matches of one user, whose events are in the order of (occurred_at, event_key)."""
    matches: dict[tuple[str, str, int], Match] = {}
    with localcontext() as context:
        context.prec = 60
        for trigger, rule in TRIGGERS.items():
            for found in rule(events, visits, rules):
                devices = {one.event.anonymous_id or "" for one in found.evidence if one.is_linked}
                match = Match(
                    trigger_name=trigger,
                    user_id=user,
                    matched_at=found.matched_at,
                    variant="default",
                    is_absence=trigger in ABSENCE,
                    window_started_at=found.evidence[0].at,
                    event_keys=tuple(one.key for one in found.evidence),
                    observed_value=found.observed.quantize(SCALE),
                    threshold_value=found.threshold.quantize(SCALE),
                    linked_anonymous_ids=tuple(sorted(devices)),
                )
                assert match.key not in matches, f"two rows for {match.key}"
                matches[match.key] = match
    return list(matches.values())


def evaluate(
    batches: Sequence[tuple[Sequence[str], int]],
    rules: Rules | None = None,
    key_of: Callable[[CopyKey], str] = any_key,
) -> Truth:
    """The truth of a whole history: a sequence of (lines, the batch's clock)."""
    evaluator = Evaluator(rules or Rules(), key_of)
    for batch_id, (lines, loaded_at) in enumerate(batches, start=1):
        evaluator.load(batch_id, lines, loaded_at)
    return evaluator.truth()


def watermark(complete_through: Mapping[str, int | None], allowed_lateness: int) -> int | None:
    """The least advanced of the active sources, less the lateness allowed; None before any has stated one."""
    stated = [at for at in complete_through.values() if at is not None]
    return min(stated) - allowed_lateness if stated else None
