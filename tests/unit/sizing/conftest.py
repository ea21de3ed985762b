"""How hard the property tests try: enough to find a slip, little enough to be run at every save."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("quick", max_examples=60, deadline=None, database=None)
settings.load_profile("quick")
