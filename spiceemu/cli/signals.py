"""Ctrl-C and SIGTERM until there is a loop that has better ways."""

from __future__ import annotations

import signal


class HeldSignals:
    """``with`` it Ctrl-C and SIGTERM wait until its end; on Windows they do not, as nothing there could hold them.

    A handler's exception comes up wherever Python is just then. While modules are loaded that may be in the callback of
    a weak reference of the import system's: Python prints it there and drops it, and the signal is lost. While a loop
    is set up, what was to run in it is dropped with a warning.
    """

    def __enter__(self) -> HeldSignals:
        if hasattr(signal, "pthread_sigmask"):
            self._before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
        return self

    def release(self) -> None:
        """Let them come, now that somebody is there for them.

        :raises KeyboardInterrupt: one came, and its handler is Python's own.
        """
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_SETMASK, self._before)

    def __exit__(self, *_: object) -> None:
        self.release()
