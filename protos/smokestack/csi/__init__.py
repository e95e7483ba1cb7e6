"""Protocols of the container storage interface (CSI): generated code, made by the build."""
