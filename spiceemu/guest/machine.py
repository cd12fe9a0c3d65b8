"""The make-believe machine as a whole."""
from __future__ import annotations
from uuid import UUID, uuid4
from spiceemu.guest.display import Display

class Guest:
    def __init__(self, *, sizes, name="spiceemu", uuid=None, agent=True):
        self.displays = [Display(n, w, h) for n, (w, h) in enumerate(sizes)]
        self.name = name
        self.uuid = uuid or uuid4()
    def close(self): pass
