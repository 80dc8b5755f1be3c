"""Campaign platforms, one module each behind the protocol of `base.py`."""
