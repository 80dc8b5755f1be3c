"""From the landing folder to raw.events."""
