"""The command that brings a packaged image to where images are kept."""

import click

from preflight.watch.commands import HELP


@click.command(context_settings=HELP)
def publish() -> None:
    """Push the packaged image to `registry.images` of params.yaml, read it again and compare.

    It is what reports/release.json names, under the tag of its Bento. Once more is no error; a
    tag that names another image is.

    Example: preflight publish
    """
    import os
    from pathlib import Path

    from preflight import workspace
    from preflight.errors import Problem
    from preflight.files import read_json
    from preflight.images import layout, store
    from preflight.images.build import LAYOUT
    from preflight.layout import REPORTS

    root = workspace.root()
    draft = read_json(root / REPORTS / "release.json")
    image, bento = (str(draft.get(name, "nothing")) for name in ("image", "bento"))
    if (found := layout.digest(root / LAYOUT)) != image:
        where = str(REPORTS / "release.json")
        raise Problem(where, image, f"{found}, as in {LAYOUT}", "Run `preflight package` again.")
    kept = store.of(root)
    tag = bento.partition(":")[2]
    click.echo(f"{bento} -> {kept.place}, {kept.push(root / LAYOUT, tag)}")
    if output := os.environ.get("GITHUB_OUTPUT"):  # for the steps that sign
        with Path(output).open("a", encoding="utf-8") as file:
            file.write(f"image={kept.place.removeprefix(store.REGISTRY)}\ndigest={found}\n")
    if not layout.runs(root / LAYOUT):
        click.echo("It is a Bento alone and runs nowhere: built without docker, podman or buildah.")
