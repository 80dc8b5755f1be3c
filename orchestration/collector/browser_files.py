"""What the collector gives to browsers: the data layer's script and, where asked for, the demo shop."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from html import escape
from pathlib import Path

import rjsmin  # type: ignore[import-untyped]
from starlette.requests import Request
from starlette.responses import Response

FOLDER = Path(__file__).parent / "browser"
CACHE_SECONDS = 3_600


@cache
def script() -> tuple[bytes, bytes, str]:
    """(minified, the same zipped, its ETag)."""
    text = rjsmin.jsmin((FOLDER / "tripline.js").read_text(encoding="utf-8")).encode()
    return text, gzip.compress(text, mtime=0), f'"{hashlib.sha256(text).hexdigest()[:20]}"'


def send_script(request: Request) -> Response:
    text, zipped, tag = script()
    headers = {
        "etag": tag,
        "cache-control": f"public, max-age={CACHE_SECONDS}",
        "vary": "accept-encoding",
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "cross-origin",
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(zipped, headers={**headers, "content-encoding": "gzip"}, media_type="text/javascript")
    return Response(text, headers=headers, media_type="text/javascript")


def send_shop(write_key: str) -> Response:
    page = (FOLDER / "shop.html").read_text(encoding="utf-8").replace("WRITE_KEY", escape(write_key, quote=True))
    return Response(page, media_type="text/html", headers={"cache-control": "no-store"})
