"""Runs the command as ``python -m smokestack.cli``."""

from smokestack.cli.main import main

main(prog_name="smokestack")
