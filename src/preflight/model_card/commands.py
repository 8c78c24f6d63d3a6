"""The command `card`: writes the model card, compares it, or prints a release's."""

import click

from preflight.watch.commands import HELP


@click.command("card", context_settings=HELP)
@click.argument("environment", metavar="[ENV]", required=False)
@click.option("--check", is_flag=True, help="Write nothing; fail where the card is another.")
def card(environment: str | None, check: bool) -> None:
    """Write docs/model-card.md anew; with an environment, print the card of its release.

    Exit status: 0 written, printed or the same, 1 another card or, with risk tier high, a question
    that nobody has answered, 2 no evaluation or no release yet.

    Example: preflight card production
    """
    from preflight import workspace
    from preflight.model_card import page, released

    place = workspace.root()
    if environment and check:
        raise click.UsageError("A release's card is made of its commit: --check has nothing to do.")
    if environment:
        click.echo(released.text(place, environment), nl=False)
        return
    for each in page.unanswered(place):
        click.echo(f"warning: {each}", err=True)
    if check:
        page.check(place)
        click.echo(f"{page.PLACE}: as made anew")
        return
    changed = page.write(place)
    click.echo(str(page.PLACE) if changed else f"{page.PLACE}: unchanged")
