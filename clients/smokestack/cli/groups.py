"""Command groups that show their help when nothing else is asked of them."""

from __future__ import annotations

import click


class Group(click.Group):
    """Keeps commands in the order in which they are added: the ones to start with come first."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit()  # click's own way ends with 2 since 8.2; asking for help is no error
        return super().parse_args(ctx, args)
