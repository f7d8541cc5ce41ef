"""The verbs of the command and their order in the help."""

from __future__ import annotations

import typer

from nngames.cli import auditing, comparing, looking, running, training

app = typer.Typer(
    name="nngames",
    help="Networks as games: solved by many schemes, decided with certificates.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback(invoke_without_command=True)(looking.nngames)
for verb in (
    running.run,
    comparing.compare,
    training.train,
    running.check,
    running.certify,
    running.diagnose,
    auditing.audit,
    auditing.claims,
    looking.explain,
    looking.show_list,
    looking.new,
    looking.validate,
    looking.schema,
):
    app.command(name=verb.__name__.removeprefix("show_"))(verb)
