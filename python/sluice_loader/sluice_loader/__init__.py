"""Samples of a Sluice version in one seeded global order, from a folder or over HTTP. It needs nothing but Python; torch is optional."""

from .order import Loader
from .shards import Shards

__all__ = ["Loader", "Shards"]
