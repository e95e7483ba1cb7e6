"""`smokestack audit`: shows what is not what it is said to be, and who can see that."""

from __future__ import annotations

from typing import Any

import click

from .estate import stack_at, stack_option
from .output import print_table
from .show import output_option, plain, print_data


@click.command()
@stack_option
@output_option
def audit(address: tuple[str, ...], output: str) -> None:
    """Compare what is advertised with what is observed: sizes, latencies, paths, identities.

    Whatever is found, `array`, `host` or both say whose figures show it; what only a comparison of
    both shows is seen by `joined` alone.
    """
    with stack_at(address) as stack:
        answer = stack.audit()
    findings = [plain(finding) for finding in answer.findings]
    parts = [plain(part) for part in answer.parts]
    if output != "table":
        print_data({"findings": findings, "parts": parts}, output)
        return
    print_table("findings", [_row(finding) for finding in findings])
    for finding in findings:
        click.echo(f"{finding['resource']}: {finding['evidence']}")
    for part in parts:
        if not part["answered"]:
            click.echo(f"missing: {part['message']}")


def _row(finding: dict[str, Any]) -> dict[str, str]:
    words = {key: finding[key] for key in ("kind", "resource", "advertised", "observed")}
    return {**words, "seen by": " ".join(view.lower() for view in finding["views"])}
