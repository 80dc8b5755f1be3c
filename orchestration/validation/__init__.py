"""The trigger SQL for a few users, now: what the warehouse will say of them, asked before it is asked."""
