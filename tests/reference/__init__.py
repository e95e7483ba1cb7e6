"""The whole stack once more in plain Python, as one event loop without windows: the oracle."""
