"""A campaign platform on this machine: takes signed webhooks, keeps them, shows them, and misbehaves on request.

For the demo and the tests. It verifies Standard Webhooks signatures as a real receiver does, lets every idempotency
key take effect once, and writes what it took to disk before it answers, so that it can be killed as well.
"""

from orchestration.platform.server import CampaignPlatform

__all__ = ["CampaignPlatform"]
