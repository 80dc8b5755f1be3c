"""Where things are."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.settings import PLACES, Settings


@pytest.mark.parametrize("place", PLACES)
def test_each_place_can_be_moved_by_a_variable_of_its_own_and_the_rest_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    before = Settings(home=tmp_path).place_variables
    variable = f"TRIPLINE_{place.upper()}"
    monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))
    assert Settings(home=tmp_path).place_variables == {**before, variable: str(tmp_path / "elsewhere")}


def test_what_wants_a_home_of_its_own_is_not_led_to_the_warehouse_that_somebody_exported_for_dbt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPLINE_WEBHOOK_URL", "http://127.0.0.1:1/hook")
    apart = Settings.all_in(tmp_path)
    expected = apart.place_variables
    assert all(path.startswith(str(tmp_path)) for path in expected.values())
    for place in PLACES:
        monkeypatch.setenv(f"TRIPLINE_{place.upper()}", "/somewhere/else")
    assert Settings.all_in(tmp_path).place_variables == expected
    assert Settings.all_in(tmp_path).webhook_url == "http://127.0.0.1:1/hook"
