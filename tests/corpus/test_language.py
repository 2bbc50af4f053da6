import pytest

from lingraft.core.errors import InputError
from lingraft.corpus.language import find


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("pl", ("pl", "Polish", "Latn", "ltr", True)),
        ("pol", ("pl", "Polish", "Latn", "ltr", True)),
        ("sr-latn", ("sr-Latn", "Serbian (Latin)", "Latn", "ltr", True)),
        ("ar", ("ar", "Arabic", "Arab", "rtl", True)),
        ("he", ("he", "Hebrew", "Hebr", "rtl", True)),
        ("dv", ("dv", "Divehi", "Thaa", "rtl", True)),
        ("ko", ("ko", "Korean", "Kore", "ltr", True)),
        ("aaa-Latn", ("aaa-Latn", "Ghotuo (Latin)", "Latn", "ltr", True)),
    ],
)
def test_a_tag_gives_name_script_and_direction(tag: str, expected: tuple) -> None:
    assert tuple(find(tag)) == expected


@pytest.mark.parametrize("tag", ["th", "lo", "km", "my", "ja", "zh", "zh-Hant", "yue", "bo"])
def test_scripts_without_spaces(tag: str) -> None:
    assert not find(tag).spaces


@pytest.mark.parametrize("tag", ["xx", "jp", "", "a b", "und", "mul", "en-Latnx"])
def test_an_unknown_tag_is_an_error(tag: str) -> None:
    with pytest.raises(InputError, match=f'no language has the tag "{tag}"(.|\n)*BCP 47'):
        find(tag)


def test_a_name_instead_of_a_tag_gets_a_hint() -> None:
    with pytest.raises(InputError, match=r'no language has the tag "polish"(.|\n)*Did you mean "pl" \(Polish\)\?'):
        find("polish")


def test_a_language_of_unknown_script_asks_for_it() -> None:
    with pytest.raises(InputError, match=r'script of Ghotuo \("aaa"\) is not known(.|\n)*"aaa-Latn"'):
        find("aaa")
