"""`lingraft chat`: talk to a model, or to two side by side."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from .cli_errors import user_errors
from .cli_options import model_name

if TYPE_CHECKING:
    from lingraft.ask.speaker import Speaker


def chat(
    model: Annotated[str, typer.Argument(help="A folder, a hub id (owner/name), or a base that comes along.")],
    against: Annotated[
        str | None, typer.Option(help="A second model, asked the same; tokens it has not are new ones.")
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="Ask this alone, print the answer and end.")] = None,
    system: Annotated[str | None, typer.Option(help="What the models are told first.")] = None,
    tokens: Annotated[bool, typer.Option("--tokens", help="Color each token.")] = False,
    temperature: Annotated[float, typer.Option(min=0, max=10, help="0 takes the likeliest token.")] = 0.7,
    top_p: Annotated[float, typer.Option(min=0.01, max=1, help="Draw from so much of the probability.")] = 0.95,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Of an answer.")] = 512,
    seed: Annotated[int, typer.Option(help="Of what is drawn.")] = 17,
    trust_remote_code: Annotated[bool, typer.Option("--trust-remote-code")] = False,
) -> None:
    """Talk to a model, or to two at once. Text from a pipe is one question.

    /help shows what can be typed beside questions. Ctrl-C stops an answer, Ctrl-D ends.
    """
    with user_errors(), _stopped():
        from rich.console import Console

        from lingraft.core import quiet  # noqa: F401
        from lingraft.core.errors import InputError

        question = prompt
        if question is None and not sys.stdin.isatty():
            try:
                question = sys.stdin.read()
            except UnicodeDecodeError as error:
                raise InputError("the text is no UTF-8.", remedy="Convert it to UTF-8.") from error
        if question is not None and not question.strip():
            raise InputError("there is no question.", remedy="Give one with --prompt, from a pipe, or in a terminal.")

        from lingraft.ask.chat import Chat, converse
        from lingraft.ask.speaker import Sampling
        from lingraft.ask.terminal import Terminal

        speakers = _speakers(model, against, trust_remote_code)
        out, aside = Console(highlight=False), Console(stderr=True, highlight=False)
        screen = Terminal(out, aside if question is not None else out, tokens=tokens)
        sampling = Sampling(temperature, top_p, max_new_tokens, seed)
        talk = Chat(speakers, screen, sampling, system=system)
        if question is not None:
            if not talk.ask(question):
                raise KeyboardInterrupt
            return
        import readline  # noqa: F401  (what is typed can be edited then)

        names = " and ".join(speaker.name for speaker in speakers)
        screen.tell(f"{names}; /help shows what can be typed, Ctrl-D ends")
        converse(talk, _typed)


@contextmanager
def _stopped() -> Iterator[None]:
    """Ctrl-C ends the command where no answer is on its way, with exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _typed() -> str:
    try:
        return input("> ")
    except (EOFError, KeyboardInterrupt):
        typer.echo()
        raise


def _speakers(model: str, against: str | None, trust_remote_code: bool) -> "list[Speaker]":
    """The models, that which is compared with first."""
    from transformers.utils.logging import disable_progress_bar

    from lingraft.ask.speaker import Speaker, new_ids
    from lingraft.core.errors import RecipeError
    from lingraft.evaluate.context import positions
    from lingraft.evaluate.evaluate import load
    from lingraft.stages.base import folder_of

    disable_progress_bar()
    paths = [against, model] if against else [model]
    folders = {model_name(path): folder_of(path, trust_remote_code) for path in paths}
    if len(folders) < len(paths):
        raise RecipeError("two models have the same name.", remedy="Rename one of the folders.")
    speakers: list[Speaker] = []
    for name, folder in folders.items():
        loaded = load(folder, trust_remote_code=trust_remote_code)
        before = speakers[0].tokenizer if speakers else None
        speakers.append(
            Speaker(
                name,
                loaded,
                context_tokens=positions(folder, trust_remote_code=trust_remote_code),
                new_ids=new_ids(folder, loaded.tokenizer, before),
            )
        )
    return speakers
