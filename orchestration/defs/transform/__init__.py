"""From raw.events to the published tables."""
