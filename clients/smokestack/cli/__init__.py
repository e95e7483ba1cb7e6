"""The `smokestack` command: one module per command, all of them light until they run."""
