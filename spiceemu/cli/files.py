"""Files that the commands write."""

from __future__ import annotations

import os
import stat

PRIVATE_MODE = 0o600


def make_private(descriptor: int) -> None:
    """Let an open file be read by its owner alone; a device or a pipe is nobody's own and stays as it is.

    :raises OSError: it is somebody else's.
    """
    # Windows has no fchmod before Python 3.13.
    if hasattr(os, "fchmod") and stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.fchmod(descriptor, PRIVATE_MODE)
