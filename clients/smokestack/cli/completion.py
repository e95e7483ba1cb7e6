"""`smokestack completion`: what a shell needs to complete our commands."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    bash and zsh: `eval "$(smokestack completion bash)"` in the shell's start file;
    fish: `smokestack completion fish | source`.
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None  # the choice above names what click has
    root = context.find_root().command
    script = made(root, {}, "smokestack", "_SMOKESTACK_COMPLETE")
    click.echo(script.source_template % script.source_vars())
