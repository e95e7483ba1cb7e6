"""Where pytest finds the plugin: the one module of ours outside the namespace.

pytest takes a distribution without any top-level module for one in a `src` folder, and the rooms of
a namespace for its packages: it would then mind that somebody else's `array` is imported already.
"""

pytest_plugins = ("smokestack.testing.plugin",)
