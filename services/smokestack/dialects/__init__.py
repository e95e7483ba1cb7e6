"""Protocols of real tools, spoken over smokestack's own API: one package each."""
