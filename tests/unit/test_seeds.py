"""A wrong seed row is refused before any model is built, and the message names the row."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestration.dbt import build, compile_triggers
from orchestration.errors import ConfigError
from orchestration.settings import PROJECT_DIR, Settings
from tests.unit.conftest import WITHOUT_UNIT_TESTS, Warehouse, failures, make_warehouse

pytestmark = pytest.mark.xdist_group("seeds")

# file, how its text is spoilt, what the message has to say
WRONG: dict[str, tuple[str, Callable[[str], str], str]] = {
    "an unknown trigger": (
        "trigger_thresholds.csv",
        lambda text: text + "time_on_pge,default,dwell_seconds,180,seconds,a typing error\n",
        "seeds/trigger_thresholds.csv, row time_on_pge,default,dwell_seconds: there is no trigger 'time_on_pge'",
    ),
    "a negative window": (
        "trigger_thresholds.csv",
        lambda text: text.replace(
            "high_value_cart,default,window_seconds,3600", "high_value_cart,default,window_seconds,-3600"
        ),
        "row high_value_cart,default,window_seconds: '-3600' is not a whole number of seconds above 0",
    ),
    "text for a number": (
        "trigger_thresholds.csv",
        lambda text: text.replace("frequent_visits,default,min_visits,4", "frequent_visits,default,min_visits,four"),
        "row frequent_visits,default,min_visits: 'four' is not a whole number above 0",
    ),
    "a number for an amount that has too many decimals": (
        "trigger_thresholds.csv",
        lambda text: text.replace(
            "high_value_cart,default,min_amount,200", "high_value_cart,default,min_amount,0.00001"
        ),
        "row high_value_cart,default,min_amount: '0.00001' is not an amount",
    ),
    "a missing row": (
        "trigger_thresholds.csv",
        lambda text: _without(text, "lapsed_user,default,wait_seconds"),
        "seeds/trigger_thresholds.csv: a row is missing: lapsed_user,default,wait_seconds",
    ),
    "a row that stands there twice": (
        "trigger_thresholds.csv",
        lambda text: text + "cart_abandoned,default,wait_seconds,60,seconds,again\n",
        "row cart_abandoned,default,wait_seconds: stands there twice",
    ),
    "an unknown parameter": (
        "trigger_thresholds.csv",
        lambda text: text + "cart_abandoned,default,wait_minutes,60,minutes,a wrong name\n",
        "row cart_abandoned,default,wait_minutes: the trigger has no parameter 'wait_minutes'; it has wait_seconds",
    ),
    "an unknown setting": (
        "settings.csv",
        lambda text: text + "frequency_cap,3,firings,a wrong name\n",
        "seeds/settings.csv, row frequency_cap: there is no setting 'frequency_cap'",
    ),
    "an unknown time zone": (
        "settings.csv",
        lambda text: text.replace("reporting_timezone,UTC", "reporting_timezone,Europe/Berlyn"),
        "row reporting_timezone: 'Europe/Berlyn' is not a time zone that the warehouse knows",
    ),
    "an unknown campaign": (
        "triggers.csv",
        lambda text: text.replace("product_interest", "product_intrest"),
        "seeds/triggers.csv, row time_on_page: campaign 'product_intrest' is not in seeds/campaigns.csv",
    ),
    "a trigger without a row": (
        "triggers.csv",
        lambda text: _without(text, "frequent_sign_ins,"),
        "seeds/triggers.csv: a row is missing: frequent_sign_ins,true,",
    ),
    "a word for yes or no": (
        "campaigns.csv",
        lambda text: text.replace("win_back,webhook,true", "win_back,webhook,yes"),
        "seeds/campaigns.csv, row win_back: is_enabled 'yes' is not true or false",
    ),
    "an action that is no word": (
        "campaigns.csv",
        lambda text: text.replace("cart_reminder,webhook,true,,", "cart_reminder,webhook,true,event?,"),
        "seeds/campaigns.csv, row cart_reminder: action 'event?' is not a word",
    ),
    "two traits that are one address": (
        "profile_traits.csv",
        lambda text: text + "mail,email,a second address\n",
        "seeds/profile_traits.csv, row mail: kind 'email' stands there twice",
    ),
    "a trait that stands there twice": (
        "profile_traits.csv",
        lambda text: text + "phone,landline,again\n",
        "seeds/profile_traits.csv, row phone: stands there twice",
    ),
    "a trait of no kind": (
        "profile_traits.csv",
        lambda text: text + "nickname,,nothing\n",
        "seeds/profile_traits.csv, row nickname: kind '' is not a word",
    ),
    "a passive event that stands there twice": (
        "passive_events.csv",
        lambda text: text + "order_shipped,again\n",
        "seeds/passive_events.csv, row order_shipped: stands there twice",
    ),
}


def _without(text: str, start: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(start))


def _project(to: Path, *, spoilt: bool) -> Path:
    """A copy of what dbt reads, with all wrong rows in it."""
    for name in ("dbt_project", "macros", "seeds", "tests/dbt"):
        shutil.copytree(PROJECT_DIR / name, to / name, ignore=shutil.ignore_patterns("target", "logs"))
    for file, spoil, _ in WRONG.values() if spoilt else ():
        path = to / "seeds" / file
        text = path.read_text(encoding="utf-8")
        wrong = spoil(text)
        assert wrong != text, f"{file} is not as this test expects it"
        path.write_text(wrong, encoding="utf-8")
    return to / "dbt_project"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    made = make_warehouse(tmp_path_factory.mktemp("seeds"), events=300, files=1)
    made.load_next()
    return made


@pytest.fixture(scope="module")
def refused(shop: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return shop.build(*WITHOUT_UNIT_TESTS, project_dir=_project(tmp_path_factory.mktemp("spoilt"), spoilt=True))


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_row_is_named(refused: Any, wrong: str) -> None:
    assert WRONG[wrong][2] in "\n".join(failures(refused))


def test_every_wrong_row_is_named_at_once_and_no_right_one(refused: Any) -> None:
    assert f"Nothing was built: {len(WRONG)} problem(s) in the configuration." in "\n".join(failures(refused))


def test_nothing_is_built_with_a_wrong_row(refused: Any, shop: Warehouse) -> None:
    built = [
        result.node.name
        for result in refused.result.results
        if result.node.resource_type == "model"
        and result.status == "success"
        # Views over raw tables alone, which no seed can spoil.
        and result.node.name not in ("stg_events", "delivery_latency", "dead_letters")
    ]
    assert built == []
    assert shop.ask("select count(*) from batches.finished_builds") == [(0,)]


def test_the_batch_says_which_row_to_mend_and_the_next_one_catches_up(
    refused: Any, shop: Warehouse, tmp_path: Path
) -> None:
    spoilt = _project(tmp_path / "spoilt", spoilt=True)
    with pytest.raises(ConfigError, match="row time_on_pge"):
        build(shop.settings, project_dir=spoilt)
    build(shop.settings, project_dir=_project(tmp_path / "mended", spoilt=False))
    assert shop.ask("select count(*) from batches.finished_builds") == [(1,)]


UNREADABLE: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "a row that is too short": (
        "triggers.csv",
        lambda text: text + b"time_on_page,true,1\n",
        "seeds/triggers.csv, line 11 (time_on_page,true,1): 3 values instead of 6",
    ),
    "a comma in a description": (
        "campaigns.csv",
        lambda text: text.replace(b"win_back,webhook,true,", b"win_back,webhook,true,back, please: ", 1),
        "seeds/campaigns.csv, line 10 (win_back,webhook,true,back, please: ",
    ),
    "a column of another name": (
        "settings.csv",
        lambda text: text.replace(b"setting,value,", b"setting,valu,", 1),
        "seeds/settings.csv, line 1: the columns are setting,valu,unit,description instead of setting,value,",
    ),
    "columns in another order": (
        "trigger_thresholds.csv",
        lambda text: text.replace(b"trigger_name,variant,", b"variant,trigger_name,", 1),
        "seeds/trigger_thresholds.csv, line 1: the columns are variant,trigger_name,",
    ),
    "another encoding": (
        "passive_events.csv",
        lambda text: text + "zur\u00fcckgeschickt,sent back\n".encode("utf-16-le"),
        "seeds/passive_events.csv is not UTF-8",
    ),
    "an open quote": (
        "suppressed_users.csv",
        lambda text: text + b'ada,"asked us to stop\n',
        "seeds/suppressed_users.csv, line 2: not CSV: unexpected end of data",
    ),
}


@pytest.fixture(scope="module")
def unreadable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which no seed file can be read."""
    project_dir = _project(tmp_path_factory.mktemp("unreadable"), spoilt=False)
    for file, spoil, _ in UNREADABLE.values():
        path = project_dir.parent / "seeds" / file
        content = path.read_bytes()
        wrong = spoil(content)
        assert wrong != content, f"{file} is not as this test expects it"
        path.write_bytes(wrong)
    return project_dir


def test_rows_that_the_warehouse_could_not_even_read_are_all_named_before_dbt_starts(
    unreadable: Path, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path / "home")
    with pytest.raises(ConfigError, match=f"Nothing was built: {len(UNREADABLE)} problem") as caught:
        build(settings, project_dir=unreadable)
    for _, _, says in UNREADABLE.values():
        assert says in caught.value.message
    assert not settings.home.exists()


def test_a_seed_file_that_is_gone_is_said_with_its_first_line(tmp_path: Path) -> None:
    project_dir = _project(tmp_path, spoilt=False)
    (tmp_path / "seeds" / "suppressed_users.csv").unlink()
    with pytest.raises(ConfigError, match=r"seeds/suppressed_users.csv is missing; its first line is user_id,reason"):
        build(Settings(home=tmp_path / "home"), project_dir=project_dir)


def test_a_wrong_row_is_told_as_such_by_the_check_of_the_triggers_too(tmp_path: Path) -> None:
    spoilt = _project(tmp_path, spoilt=True)
    with pytest.raises(ConfigError, match="row time_on_pge"), compile_triggers(project_dir=spoilt):
        pass
