"""`smokestack init`: writes the default scenario to a file, to start one's own from."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default="smokestack.yaml")
def init(file: Path) -> None:
    """Write the default stack to FILE (smokestack.yaml), with comments; never over another file."""
    from smokestack.server.scenario import default_scenario_text

    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(default_scenario_text())
    except FileExistsError:
        raise click.ClickException(
            f"{file} exists already: name another file, or remove it first"
        ) from None
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror or error}") from None
    click.echo(
        f"wrote {file}: edit it, check it with `smokestack scenario check {file}`, "
        f"serve it with `smokestack up {file}`"
    )
