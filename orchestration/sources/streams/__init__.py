"""Streams: sources that are read from a position on, each kind in a module of its own behind one protocol."""
