"""The command: ``spiceemu serve`` and the other verbs, a module each."""

from spiceemu.cli.startup import main

__all__ = ["main"]
