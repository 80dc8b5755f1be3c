"""The collector: events over HTTP, on disk before they are acknowledged, in the landing folder a second later."""
