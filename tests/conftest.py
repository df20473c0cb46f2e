"""What all tests share: hypothesis judges results, never the speed of a busy machine."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("deqi", deadline=None)
settings.load_profile("deqi")
