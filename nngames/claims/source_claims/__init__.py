"""The source's claims, one definition each, filed by subject.

To add one, define a subclass of ``SourceClaim`` with ``@claim_named`` in a module of this folder.
"""

from __future__ import annotations

import sys

from nngames.claims.source_claim import registry

registry.discover(sys.modules[__name__])

__all__ = ["registry"]
