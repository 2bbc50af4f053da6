"""How many words a text has, also where no spaces stand between them."""

import regex
from icu4py.breakers import WordBreaker

# Written without spaces between words; ICU cuts them by its dictionaries.
SPACELESS = regex.compile(r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Han}\p{Hiragana}\p{Katakana}]")
WORD = regex.compile(r"[\p{L}\p{N}]")


def count_words(text: str) -> int:
    """What stands between white space; in a text with Thai, Lao, Khmer, Burmese, Chinese or Japanese, ICU's words.

    Unicode Standard Annex 29; pieces without a letter or digit do not count.
    """
    if SPACELESS.search(text) is None:
        return len(text.split())
    return sum(WORD.search(piece) is not None for piece in WordBreaker(text, "und"))
