"""From what a user asks for to the tasks."""

from collections.abc import Sequence
from dataclasses import replace

from lingraft.core.errors import InputError, RecipeError
from lingraft.core.registry import check_options, resolve
from lingraft.corpus.language import Language, find
from lingraft.evaluate.task import Task
from lingraft.evaluate.wanted import Missing, Wanted

from . import SUITES
from .source import NoDataError, Source
from .words import WRITTEN, native


def check(wanted: Wanted, language: Language) -> None:
    """Raise RecipeError or InputError for what could not be asked, before any data is read."""
    if wanted.is_labeled:
        from lingraft.evaluate.labeled.suites import check as check_labeled

        check_labeled(wanted.suite, wanted.options)
    else:
        check_options(resolve(SUITES, wanted.suite, "suite"), wanted.options, f"{wanted.suite}.options")
        native(find(wanted.language) if wanted.language else language, wanted.words)
    if wanted.data is not None and not wanted.data.is_dir():
        raise RecipeError(
            f"the data of {wanted.suite} is not there: no such folder.",
            where=wanted.data,
            remedy="A relative folder is looked for beside the recipe file. Leave `data` out to use the hub.",
        )


def identity(wanted: Wanted, language: Language) -> str:
    """A hash of what is asked, item by item; of a suite without data, that it is missing."""
    if wanted.is_labeled:
        from lingraft.evaluate.labeled import suites as labeled

        return labeled.identity(wanted)
    try:
        return " ".join(task.identity() for task in load(wanted, language))
    except NoDataError:
        return "missing"


def load(wanted: Wanted, language: Language) -> list[Task]:
    """The tasks of a suite in every kind of prompt that is wanted.

    Raises NoDataError where the suite has nothing in the language.
    """
    function = resolve(SUITES, wanted.suite, "suite")
    tested = find(wanted.language) if wanted.language else language
    source = Source(tested, wanted.data)
    found = []
    for prompts in wanted.prompts:
        own = native(tested, dict(wanted.words)) if prompts == "native" else WRITTEN["en"]
        words = own or WRITTEN["en"]
        for task in function(source, words, **wanted.options):
            if not task.items and task.kind != "harness":
                raise source.nothing(f"{task.name} is left without an item to ask")
            is_foreign = task.prompt_language == WRITTEN["en"].tag != task.language
            if prompts == "english" and "native" in wanted.prompts and not is_foreign:
                continue  # a story that goes on has no prompt, and is asked once
            name = f"{task.name}@en" if is_foreign else task.name
            missing = (f"There are no prompts in {tested.name} yet: it is asked in English.",)
            notes = task.notes if own or not is_foreign else (*task.notes, *missing)
            task = replace(task, name=name, chat=wanted.chat, notes=notes)
            found.append(task.reduced(wanted.items, wanted.shots))
    names = [task.name for task in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(
            f"{twice} would be asked twice in the same words.",
            where=wanted.suite,
            remedy="Leave `prompts` out, or give `words` in the language.",
        )
    return found


def tasks_of(suites: Sequence[Wanted], language: Language) -> tuple[list[Task], list[Missing]]:
    """The tasks of all suites but the labeled ones, and the suites that have no data in the language."""
    tasks: list[Task] = []
    missing = []
    for wanted in suites:
        if wanted.is_labeled:
            continue
        try:
            tasks += load(wanted, language)
        except NoDataError as error:
            missing.append(Missing(wanted.suite, str(error)))
    names = [task.name for task in tasks]
    twice = next((task for task in tasks if names.count(task.name) > 1), None)
    if twice is not None:
        raise InputError(
            f"two suites have a task {twice.name}.", where=twice.suite, remedy="Name each suite once in `suites`."
        )
    return tasks, missing
