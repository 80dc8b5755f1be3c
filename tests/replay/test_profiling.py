"""The reference for profiles, case by case: what was said of `u`, and what is known then."""

from __future__ import annotations

from typing import Any

import pytest

from tests.replay.evaluator import Evaluator
from tests.replay.telling import LOADED, key_of, line

KINDS = {"email": "email", "mobile": "phone", "crm": "crm_id"}
A, B = "a@shop", "b@shop"

# (time, traits) of identify calls, keys in the order written; email, phone, external ids, traits
CASES: dict[str, tuple[list[tuple[int, Any]], tuple[str | None, str | None, str, str]]] = {
    "the latest word": ([(2, {"email": B}), (1, {"email": A})], (B, None, "{}", f'{{"email": "{B}"}}')),
    "each trait has its own": (
        [(1, {"email": A}), (2, {"mobile": 49})],
        (A, "49", "{}", f'{{"email": "{A}", "mobile": "49"}}'),
    ),
    "null forgets": (
        [(1, {"email": A, "crm": "7"}), (2, {"email": None})],
        (None, None, '{"crm_id": "7"}', '{"crm": "7"}'),
    ),
    "of simultaneous words the smallest key": (
        [(1, {"email": A}), (1, {"email": B})],
        (A, None, "{}", f'{{"email": "{A}"}}'),
    ),
    "a bad address hides an older good one": (
        [(1, {"email": A}), (2, {"email": "b"})],
        (None, None, "{}", '{"email": "b"}'),
    ),
    "blanks are no part of it": ([(1, {"email": f" {A}\t"})], (A, None, "{}", f'{{"email": " {A}\\t"}}')),
    "a list is no number": ([(1, {"mobile": ["49"]})], (None, None, "{}", '{"mobile": ["49"]}')),
    "nothing was said": ([(1, None), (2, "text")], (None, None, "{}", "{}")),
}


@pytest.mark.parametrize("name", CASES)
def test_a_profile_is_the_latest_word_on_each_trait(name: str) -> None:
    said, expected = CASES[name]
    evaluator = Evaluator(key_of=key_of)
    lines = [line(n, at, "", {}, type="identify", event=..., traits=traits) for n, (at, traits) in enumerate(said)]
    evaluator.load(1, lines, LOADED)
    (profile,) = evaluator.profiles(KINDS)
    assert (profile.email, profile.phone, profile.external_ids, profile.traits) == expected


def test_who_only_tracked_has_no_profile_and_a_link_takes_it_along() -> None:
    evaluator = Evaluator(key_of=key_of)
    evaluator.load(1, [line(1, 0, "identify", {}, traits={"email": A})], LOADED)
    assert evaluator.profiles(KINDS) == []
    said = line(2, 1, "", {}, type="identify", event=..., userId=..., anonymousId="d", traits={"email": B})
    evaluator.load(2, [said], LOADED)
    assert [one.user_id for one in evaluator.profiles(KINDS)] == ["anon:d"]
    evaluator.load(3, [line(3, 2, "signed_in", {}, anonymousId="d")], LOADED)
    assert [(one.user_id, one.email) for one in evaluator.profiles(KINDS)] == [("u", B)]
