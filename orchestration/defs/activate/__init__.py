"""From the outbox to the campaign platforms."""
