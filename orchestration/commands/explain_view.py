"""An explanation for people."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from orchestration.commands.explanation import DeliveryStep, EvidenceEvent, Explanation, MatchStory, TriggerStory
from orchestration.commands.words import count, number, when

STATUS_STYLES = {
    "fired": "bold green",
    "suppressed": "yellow",
    "held": "magenta",
    "waiting": "cyan",
    "matched": "bold",
    "not_matched": "dim",
    "disabled": "dim",
    "unknown": "dim",
}
EVIDENCE_SHOWN = 6


def render(explanation: Explanation, console: Console) -> None:
    """Prints it; nothing in it is taken for markup, since ids and answers come from elsewhere."""
    _print(console, explanation.identity.words, style="bold")
    activity = explanation.activity
    if activity:
        words = f"{count(activity.events, 'event')} in {count(activity.visits, 'visit')}"
        span = f", {when(activity.first_at)} to {when(activity.last_at)}" if activity.events else ""
        _print(console, words + span)
    if explanation.batch_id is not None:
        clock, watermark = when(explanation.clock_at), when(explanation.watermark_at)
        _print(console, f"as of batch {explanation.batch_id}: clock {clock}, complete through {watermark}", style="dim")
    for note in explanation.notes:
        _print(console, f"note: {note}", style="yellow")
    told = [story for story in explanation.triggers if story.matches]
    untold = [story for story in explanation.triggers if not story.matches]
    for story in told:
        _render_trigger(console, story)
    if untold:
        _print(console, "\ndid not match", style="bold")
        width = max(len(story.trigger_name) for story in untold)
        for story in untold:
            words = story.near_miss.words if story.near_miss else ""
            _print(console, f"  {story.trigger_name:<{width}}  {words}")


def _render_trigger(console: Console, story: TriggerStory) -> None:
    head = Text(f"\n{story.trigger_name}  ", style="bold")
    head.append(story.status, style=STATUS_STYLES.get(story.status, ""))
    shown = len(story.matches)
    head.append(f"  {count(story.match_count, 'match', 'matches')}", style="dim")
    if shown < story.match_count:
        head.append(f", the latest {shown}", style="dim")
    console.print(head, soft_wrap=True)
    if story.near_miss:
        _print(console, f"  {story.near_miss.words}", style="dim")
    for match in story.matches:
        _render_match(console, match, story)


def _render_match(console: Console, match: MatchStory, story: TriggerStory) -> None:
    outcome = match.decision or ("waiting" if match.is_absence else "matched")
    line = Text("  ")
    line.append(when(match.matched_at), style="bold")
    line.append(f"  {match.measured}  ")
    line.append(outcome, style=STATUS_STYLES.get(outcome, ""))
    if match.user_id.startswith("anon:"):
        line.append(f"  as {match.user_id}", style="dim")
    console.print(line, soft_wrap=True)
    decided = f"  (decided {when(match.decided_at)}, batch {match.batch_id})" if match.decided_at else ""
    _print(console, f"    {match.why}{decided}")
    for event in match.evidence[:EVIDENCE_SHOWN]:
        _print(console, f"      {event_words(event)}", style="dim")
    if len(match.evidence) > EVIDENCE_SHOWN:
        _print(console, f"      … and {len(match.evidence) - EVIDENCE_SHOWN:,} more events", style="dim")
    for step in match.deliveries:
        _print(console, f"    {step_words(step)}")


def event_words(event: EvidenceEvent) -> str:
    """'2025-09-12T10:02:05Z  product_added  p-12  shoes  59.90 x 2  /p/12  batch 3'."""
    if not event.is_loaded:
        return f"event {event.event_key}"
    price = None
    if event.price is not None:
        many = event.quantity is not None and event.quantity != 1
        price = f"{event.price:,.2f}" + (f" x {number(event.quantity or 0)}" if many else "")
    parts = [when(event.occurred_at), event.event_name, event.product_id, event.category, price, event.page_url]
    return "  ".join([*(part for part in parts if part), f"batch {event.batch_id}"])


def step_words(step: DeliveryStep) -> str:
    """'2025-09-12T10:03:00Z  webhook  delivered  attempt 1  200  {"ok": true}'."""
    answer = " ".join((step.answer or "").split())[:200]
    parts = [when(step.recorded_at), step.destination, step.status, f"attempt {step.attempt}"]
    return "  ".join(parts + ([str(step.http_status)] if step.http_status else []) + ([answer] if answer else []))


def _print(console: Console, text: str, *, style: str = "") -> None:
    console.print(Text(text, style=style), soft_wrap=True)
