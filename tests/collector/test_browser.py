"""The browser's data layer in a real Chromium: what a page says and a visitor does, as the warehouse sees it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from orchestration.collector.browser_files import script
from orchestration.pipeline import run_batch
from orchestration.settings import Settings
from orchestration.warehouse import connect
from tests.collector.conftest import KEY, Running, Start, load_all, rows
from tests.needs import needs

TAG = '<!doctype html><title>A page</title><p>Hello<script>{before}</script><script async src="{url}"></script>'
GOOGLE_ITEM = {"item_id": "sku-1", "item_name": "Shoe", "item_category": "shoes", "price": 59.9, "quantity": 2}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = needs(
        "chromium", "chromium-browser", "google-chrome", why="these tests look at the page that a visitor sees"
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


class Site:
    """A shop's own server, of another origin than the collector's; every address of it is the same page."""

    def __init__(self) -> None:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.end_headers()
                self.wfile.write(site.html.encode())

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: a test's output is no place for it."""

        self.html = ""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


class Visitor:
    """Somebody on a page of the site, with the one line in it."""

    def __init__(self, context: BrowserContext, collector: Running, site: Site) -> None:
        self.context, self.collector, self.site = context, collector, site
        self.is_down = False
        context.route(f"{collector.url}/v1/batch", lambda route: route.abort() if self.is_down else route.continue_())

    def opens(self, path: str = "/", *, before: str = "", settings: str = "") -> Page:
        url = f"{self.collector.url}/tripline.js?writeKey={KEY}{settings}"
        self.site.html = TAG.format(before=before, url=url)
        page = self.page = self.context.new_page()
        page.goto(self.site.url + path)
        page.wait_for_function("window.tripline && !window.tripline.forEach")
        return page

    def events(self, at_least: int = 1, columns: str = "event_name") -> list[Any]:
        """What is in the warehouse, once so many events are; in the order they were done."""
        deadline = time.monotonic() + 15
        found: list[Any] = []
        while time.monotonic() < deadline:
            load_all(self.collector.settings)
            if (self.collector.settings.warehouse_path).exists():
                found = rows(
                    self.collector.settings,
                    f"select {columns} from raw.events where not is_duplicate order by client_time, event_seq",
                )
            if len(found) >= at_least:
                break
            self.page.wait_for_timeout(100)  # and not a sleep, in which the page's requests would not go out
        return [row[0] for row in found] if "," not in columns else found


@pytest.fixture
def visitor(browser: Browser, collector: Running, site: Site) -> Iterator[Visitor]:
    context = browser.new_context()
    yield Visitor(context, collector, site)
    context.close()


def test_the_script_is_small_and_kept_by_browsers(collector: Running) -> None:
    assert len(script()[1]) < 3 * 1024
    answer = httpx.get(f"{collector.url}/tripline.js?writeKey={KEY}")
    assert answer.headers["content-encoding"] == "gzip" and "javascript" in answer.headers["content-type"]
    again = httpx.get(f"{collector.url}/tripline.js", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


def test_page_views_are_sent_also_of_pages_that_are_never_loaded(visitor: Visitor) -> None:
    page = visitor.opens("/start")
    page.evaluate("history.pushState(null, '', '/p/1'); history.replaceState(null, '', '/p/1')")
    page.evaluate("location.hash = 'details'")
    page.evaluate("history.back()")
    found = visitor.events(4, "event_name, page_url")
    assert [url.removeprefix(visitor.site.url) for _, url in found] == ["/start", "/p/1", "/p/1#details", "/p/1"]
    assert {name for name, _ in found} == {"page_viewed"}


def test_googles_names_become_the_pipelines_before_and_after_the_script_is_there(visitor: Visitor) -> None:
    early = {"event": "view_item", "ecommerce": {"currency": "EUR", "items": [GOOGLE_ITEM]}}
    page = visitor.opens(before=f"window.dataLayer = [{json.dumps(early)}]", settings="&pages=0")
    items = [GOOGLE_ITEM, {**GOOGLE_ITEM, "item_id": "sku-2", "price": 10}]
    sale = {"transaction_id": "o-1", "value": 129.8, "currency": "EUR", "items": items}
    for name in ("add_to_cart", "remove_from_cart", "begin_checkout", "view_item_list"):
        page.evaluate("push => dataLayer.push(push)", {"event": name, "ecommerce": {"items": items}})
    page.evaluate("sale => { function gtag() { dataLayer.push(arguments) } gtag('event', 'purchase', sale) }", sale)
    for name in ("search", "login", "sign_up", "gtm.click"):
        page.evaluate("push => dataLayer.push(push)", {"event": name, "search_term": "red"})
    found = visitor.events(
        14, "event_name, product_id, category, price::double, quantity::int, order_id, revenue::double"
    )
    pair = [("sku-1", "shoes", 59.9, 2), ("sku-2", "shoes", 10.0, 2)]
    expected = [("product_viewed", *pair[0], None, None)]
    for name in ("product_added", "product_removed", "checkout_started", "product_list_viewed"):
        expected += [(name, *item, None, None) for item in pair]
    expected += [("order_completed", *pair[0], "o-1", 129.8), ("order_completed", *pair[1], "o-1", None)]
    expected += [(name, None, None, None, None, None, None) for name in ("products_searched", "signed_in", "signed_up")]
    assert found == expected
    ids = visitor.events(14, "event_id, event_name")
    assert len({event_id for event_id, _ in ids}) == 14, "each item is a message of its own"


def test_plain_calls_work_before_and_after_the_script_is_there(visitor: Visitor) -> None:
    page = visitor.opens(
        before="window.tripline = [['identify', 'ada', {email: 'ada@example.org'}]]", settings="&pages=0"
    )
    page.evaluate("tripline.track('Product Viewed', {product_id: 'sku-9', price: 3})")
    page.evaluate("tripline.push(['page'])")
    found = visitor.events(3, "event_name, known_user_id, product_id")
    assert found == [("identify", "ada", None), ("product_viewed", "ada", "sku-9"), ("page_viewed", "ada", None)]
    assert visitor.events(3, "traits->>'email', event_name")[0] == ("ada@example.org", "identify")


def test_a_visitor_is_the_same_on_the_next_page_and_somebody_else_in_another_browser(
    visitor: Visitor, browser: Browser, collector: Running
) -> None:
    visitor.opens("/1")
    visitor.opens("/2")
    assert len(set(visitor.events(2, "anonymous_id"))) == 1
    other = browser.new_context()
    Visitor(other, collector, visitor.site).opens("/3")
    assert len(set(visitor.events(3, "anonymous_id"))) == 2
    other.close()


def test_heartbeats_come_only_while_the_page_is_seen_and_used(visitor: Visitor) -> None:
    visitor.context.clock.install()
    page = visitor.opens()
    page.mouse.move(10, 10)
    page.clock.run_for(15_000)
    page.clock.run_for(15_000)
    page.evaluate("Object.defineProperty(document, 'visibilityState', {get: () => 'hidden', configurable: true})")
    page.mouse.move(20, 20)
    page.clock.run_for(15_000)
    page.evaluate("Object.defineProperty(document, 'visibilityState', {get: () => 'visible'})")
    page.mouse.move(30, 30)
    page.clock.run_for(16_000)
    found = visitor.events(3)
    assert found == ["page_viewed", "page_pinged", "page_pinged"]


def test_what_was_done_just_before_leaving_arrives(visitor: Visitor) -> None:
    page = visitor.opens(settings="&pages=0")
    page.evaluate("tripline.track('Product Added', {product_id: 'sku-1'}); location.href = 'about:blank'")
    assert visitor.events(1) == ["product_added"]


def test_a_collector_that_is_down_loses_nothing_and_a_reload_neither(visitor: Visitor) -> None:
    page = visitor.opens(settings="&pages=0")
    visitor.is_down = True
    page.evaluate("navigator.sendBeacon = () => false")
    for number in range(3):
        page.evaluate("number => tripline.track('Product Viewed', {product_id: 'sku-' + number})", number)
    page.wait_for_timeout(600)
    page.reload()
    page.wait_for_function("window.tripline && !window.tripline.forEach")
    visitor.is_down = False
    assert visitor.events(3, "product_id") == ["sku-0", "sku-1", "sku-2"]


def test_the_queue_is_bounded_and_the_newest_stay(visitor: Visitor) -> None:
    page = visitor.opens(settings="&pages=0")
    visitor.is_down = True
    page.evaluate("for (let i = 0; i < 500; i++) tripline.track('Viewed', {i: i, pad: 'x'.repeat(100)})")
    kept = page.evaluate("JSON.parse(localStorage[Object.keys(localStorage).find(k => k.startsWith('tripline.q.'))]).q")
    assert [one["properties"]["i"] for one in kept] == list(range(300, 500))
    page.evaluate("for (let i = 0; i < 60; i++) tripline.track('Viewed', {i: i, pad: 'x'.repeat(20000)})")
    size = page.evaluate("localStorage[Object.keys(localStorage).find(k => k.startsWith('tripline.q.'))].length")
    assert size < 450_000


def test_a_tab_that_never_came_back_is_sent_for_by_the_next_one(visitor: Visitor) -> None:
    page = visitor.opens(settings="&pages=0")
    left = {"at": 1, "q": [{"type": "track", "messageId": "old", "userId": "ada", "event": "Product Added"}]}
    page.evaluate("left => localStorage.setItem('tripline.q.gone', JSON.stringify(left))", left)
    visitor.opens(settings="&pages=0")
    assert visitor.events(1) == ["product_added"]
    assert page.evaluate("localStorage.getItem('tripline.q.gone')") is None


GPC = "Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})"
DNT = "Object.defineProperty(navigator, 'doNotTrack', {value: '1'})"


def test_global_privacy_control_is_a_refusal_of_marketing_whatever_else_was_said(visitor: Visitor) -> None:
    visitor.context.add_init_script(GPC)
    page = visitor.opens()
    page.evaluate("tripline.consent({marketing: true, analytics: true})")
    refused = visitor.events(2, "consent->'categoryPreferences'->>'marketing', event_name")
    assert refused == [("false", "page_viewed"), ("false", "consent_updated")]


@pytest.mark.parametrize(("asked", "sent"), [("", 1), ("&dnt=1", 0)])
def test_do_not_track_is_honoured_where_the_page_says_so(visitor: Visitor, asked: str, sent: int) -> None:
    visitor.context.add_init_script(DNT)
    page = visitor.opens(settings=asked)
    page.wait_for_timeout(700)
    assert len(visitor.events(sent)) == sent
    assert page.evaluate("localStorage.getItem('tripline.id') !== null") == bool(sent)


def test_where_consent_is_needed_nothing_is_sent_or_stored_before_and_after_a_refusal(visitor: Visitor) -> None:
    page = visitor.opens(settings="&consent=1")
    assert page.evaluate("Object.keys(localStorage)") == []
    page.evaluate("tripline.consent({analytics: true, marketing: false}); tripline.track('Viewed')")
    found = visitor.events(2, "event_name, consent->'categoryPreferences'->>'marketing'")
    assert found == [("consent_updated", "false"), ("viewed", "false")]
    page.evaluate("tripline.consent(false); tripline.track('Viewed')")
    page.wait_for_timeout(700)
    assert len(visitor.events(2)) == 2
    assert page.evaluate("Object.keys(localStorage)") == ["tripline.consent"]


def test_three_minutes_on_a_product_of_the_demo_shop_are_a_row_in_trigger_matches(
    settings: Settings, start: Start, browser: Browser, site: Site
) -> None:
    collector = start(slice_seconds="0.1", shop="true")
    context = browser.new_context()
    visitor = Visitor(context, collector, site)
    context.clock.install()
    page = visitor.page = context.new_page()
    page.on("dialog", lambda dialog: dialog.accept("ada@example.org"))
    page.goto(f"{collector.url}/shop/")
    page.wait_for_function("window.tripline && !window.tripline.forEach")
    page.click("text=Sign in")
    # All is sent together at the end, so that the minutes between are what the page's clock says they were.
    visitor.is_down = True
    page.click("text=Canvas shoe")
    for step in range(14):
        page.mouse.move(10 + step, 10)
        page.clock.run_for(15_000)
    visitor.is_down = False
    page.clock.run_for(400_000)
    visitor.events(16)
    run_batch(settings)
    with connect(settings.warehouse_path, read_only=True) as connection:
        found = connection.execute(
            "select trigger_name, user_id, observed_value > 180, len(event_keys) from triggers.trigger_matches"
            " where trigger_name = 'time_on_page'"
        ).fetchall()
    assert found == [("time_on_page", "ada@example.org", True, 2)]
    context.close()
