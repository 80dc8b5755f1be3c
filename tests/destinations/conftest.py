from __future__ import annotations

from tests.push.conftest import shop

__all__ = ["shop"]
