"""Polish and English questions and answers, any number of them, no two the same."""

import json
from pathlib import Path
from typing import Any

POLISH = (
    ("Co jadłeś wczoraj na kolację z przyjaciółmi?", "Wczoraj jadłem zupę i chleb, a potem piliśmy herbatę."),
    ("Jak można dojść stąd do starego miasta?", "Trzeba iść prosto przez most, a potem skręcić w lewo."),
    ("Dlaczego zimą dni są krótsze niż latem?", "Ponieważ oś naszej planety jest nachylona do słońca."),
)
ENGLISH = (
    ("What did you eat with your friends yesterday?", "We ate soup with bread, and then we drank some tea."),
    ("How do I get to the old town from here?", "You have to go straight over the bridge and then left."),
    ("Why are the days shorter in winter than in summer?", "Because the axis of our planet leans towards the sun."),
)


def alpaca(number: int, pairs: tuple[tuple[str, str], ...] = POLISH) -> dict[str, Any]:
    asked, said = pairs[number % len(pairs)]
    return {"instruction": f"{asked} ({number})", "input": "", "output": said}


def preference(number: int, pairs: tuple[tuple[str, str], ...] = POLISH) -> dict[str, Any]:
    asked, said = pairs[number % len(pairs)]
    return {"prompt": f"{asked} ({number})", "chosen": said, "rejected": pairs[(number + 1) % len(pairs)][1]}


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def texts(pairs: tuple[tuple[str, str], ...], number: int) -> list[str]:
    """Documents to learn the words of a language from."""
    return ["\n".join(f"{asked} {said}" for asked, said in pairs)] * number
