"""What a language tag says about how its text is written."""

from typing import NamedTuple

import langcodes
from langcodes.data_dicts import LIKELY_SUBTAGS

from lingraft.core.errors import InputError

RIGHT_TO_LEFT = frozenset(
    ("Adlm", "Arab", "Aran", "Hebr", "Mand", "Mend", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa", "Yezi")
)
NO_SPACES = frozenset(
    ("Bopo", "Hani", "Hans", "Hant", "Hira", "Hrkt", "Jpan", "Kana", "Khmr", "Lana", "Laoo", "Mymr", "Thai", "Tibt")
)
NO_ONE_LANGUAGE = frozenset({"und", "mul", "mis", "zxx"})


class Language(NamedTuple):
    """A language in one script; `spaces` says whether that script puts spaces between words."""

    tag: str
    name: str
    script: str
    direction: str
    spaces: bool


def find(tag: str) -> Language:
    """The language of a BCP 47 tag: normalized tag, English name, ISO 15924 script, "ltr" or "rtl".

    Where the tag names no script it is the likely one of Unicode CLDR. Raises InputError for a tag that names
    no language, and for a language whose script CLDR does not know.
    """
    try:
        found = langcodes.Language.get(tag)
    except langcodes.LanguageTagError:
        raise _unknown(tag) from None
    if not found.is_valid() or found.language is None or found.language in NO_ONE_LANGUAGE:
        raise _unknown(tag)
    # For a language it does not list, langcodes would answer with the script of English.
    if found.script is None and found.language not in LIKELY_SUBTAGS:
        raise InputError(
            f'the script of {found.display_name()} ("{tag}") is not known.',
            remedy=f'Write it into the tag, for example "{found.language}-Latn" or "{found.language}-Arab".',
        )
    script = found.maximize().script
    direction = "rtl" if script in RIGHT_TO_LEFT else "ltr"
    return Language(found.to_tag(), found.display_name(), script, direction, script not in NO_SPACES)


def _unknown(tag: str) -> InputError:
    try:
        close = langcodes.find(tag)
    except LookupError:
        remedy = 'Write a BCP 47 tag such as "pl", "sr-Latn" or "pt-BR".'
    else:
        remedy = f'Did you mean "{close.to_tag()}" ({close.display_name()})?'
    return InputError(f'no language has the tag "{tag}".', remedy=remedy)
