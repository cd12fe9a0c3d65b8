"""All that makes the command start quickly, and nothing else: elsewhere imports are what they seem.

Clients should find the port listening soon, so ``serve`` listens while little more than ``socket`` is loaded
(:mod:`spiceemu.cli.command`). asyncio and the server come next (:mod:`spiceemu.cli.serving`) and answer the links; the
desktop comes last, while links are being answered. Three things cost time until then, and are put off:

- The garbage collector: what is loaded is there to stay, and looking for garbage in it takes a tenth of the time.
- ``typing``, of which the modules loaded first use the name ``TYPE_CHECKING`` alone: a module that has nothing else
  stands in for it until somebody wants more of it.
- ``ssl``, which asyncio does without where Python has none. Without TLS to serve it is told that this is so here, as
  loading OpenSSL takes a tenth of the time to the first link.
"""

from __future__ import annotations

import gc
import sys


def _real_typing(name: str) -> object:
    """What is asked of the stand-in and not in it; it has served then."""
    if name.startswith("__"):  # the import itself asks for some
        raise AttributeError(name)
    _finish_typing()
    import typing

    return getattr(typing, name)


def _finish_typing() -> None:
    if sys.modules.get("typing") is _STAND_IN:
        del sys.modules["typing"]


_STAND_IN = type(sys)("typing")
vars(_STAND_IN).update(TYPE_CHECKING=False, __getattr__=_real_typing)


class Startup:
    """``with`` it the start is quick; :meth:`load` loads the rest as usual, and gives the collector back."""

    def __enter__(self) -> Startup:
        gc.disable()
        sys.modules.setdefault("typing", _STAND_IN)
        return self

    def __exit__(self, *_: object) -> None:
        _finish_typing()
        gc.enable()

    def load(self, verb: str, *, tls: bool = True) -> object:
        """Load the module of a verb, and end the hurry.

        :param verb: its name in this package.
        :param tls: whether it needs ``ssl``.
        :returns: the module.
        :raises KeyboardInterrupt: Ctrl-C, or a SIGTERM that does the same, came meanwhile.
        """
        from spiceemu.cli.signals import HeldSignals

        _finish_typing()
        hide_ssl = not tls and "asyncio" not in sys.modules and "ssl" not in sys.modules
        if hide_ssl:
            sys.modules["ssl"] = None  # type: ignore[assignment] # how Python marks a module that cannot be imported
        try:
            from importlib import import_module

            with HeldSignals():
                return import_module(f"spiceemu.cli.{verb}")
        finally:
            if hide_ssl:
                del sys.modules["ssl"]
            gc.freeze()  # what is loaded stays: the collector does not look through it, least of all before a link
            gc.enable()


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    :param arguments: what stands behind the command's name; those of this process if not given.
    :returns: 0.
    :raises SystemExit: with any other exit code of ``spiceemu serve --help``, after one line on standard error.
    """
    with Startup() as startup:
        from spiceemu.cli.command import execute

        execute(arguments, startup.load)
    return 0
