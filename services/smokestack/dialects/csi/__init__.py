"""The container storage interface: an array's volumes as orchestrators ask for them.

A plugin keeps nothing of its own.  What it has to remember lies in labels of volumes and devices,
so a snapshot and a reset include it, and every other plugin of the same stack sees it.
"""

from .plugin import Plugin
from .settings import DEFAULT, Settings

__all__ = ["DEFAULT", "Plugin", "Settings"]
