"""Who is asked what: given out evenly, kept through crashes, counted once, deleted for good."""

import sqlite3
import threading
from collections import Counter
from pathlib import Path

import pytest
from judging import STRONG, WEAK, begin, rows

from lingraft.core.errors import InputError, StoreError
from lingraft.judge.human import ballots as ballots_module
from lingraft.judge.human.ballots import Ballots, Refused, State
from lingraft.judge.human.questions import SHUFFLED
from lingraft.judge.human.votes import Vote, votes


def key(number: int) -> str:
    return f"{number:032x}"


def cast(ballots: Ballots, annotator: int, state: State, choice: object = "tie", **more: object) -> State:
    given = state.given
    assert given is not None
    said = {"key": key(1000 * annotator + given.position), "comment": "", "seconds": 1.5, "choice": choice} | more
    return ballots.vote(annotator, 2, question=given.question, **said)


def everything(ballots: Ballots, annotator: int, choice: object = "tie") -> int:
    """Answers all that is given; returns how many those were."""
    state = ballots.state(annotator, 2)
    while state.given is not None:
        state = cast(ballots, annotator, state, choice)
    return state.num_done


def invited(ballots: Ballots, count: int) -> list[int]:
    return [ballots.annotator(ballots.invite()[1]) for _ in range(count)]


def test_questions_get_the_votes_they_want_from_different_annotators(tmp_path: Path) -> None:
    ballots, asked = begin(tmp_path, rows(10))
    done = [everything(ballots, annotator) for annotator in invited(ballots, 4)]
    assert done == [10, 10, 0, 0]
    by_item = Counter(vote.item for vote in votes(ballots.database))
    assert set(by_item.values()) == {2}
    assert len(by_item) == len(asked) == 10


def test_two_at_once_share_the_work_and_each_has_an_order_of_their_own(tmp_path: Path) -> None:
    ballots, _ = begin(tmp_path, rows(30))
    people = invited(ballots, 4)
    states = {annotator: ballots.state(annotator, 2) for annotator in people}
    seen: dict[int, list[tuple[str, bool]]] = {annotator: [] for annotator in people}
    while any(state.given for state in states.values()):
        for annotator, state in states.items():
            if state.given:
                seen[annotator].append((state.given.question, state.given.swapped))
                states[annotator] = cast(ballots, annotator, state)
    assert [len(those) for those in seen.values()] == [15, 15, 15, 15]
    firsts = [[question for question, _ in those] for those in seen.values()]
    assert firsts[0] != sorted(firsts[0])
    sides = Counter(swapped for those in seen.values() for _, swapped in those)
    assert min(sides.values()) > 18  # of 60, a fair coin


def test_what_is_shown_stays_until_it_is_answered(tmp_path: Path) -> None:
    ballots, _ = begin(tmp_path, rows(5))
    (annotator,) = invited(ballots, 1)
    first = ballots.state(annotator, 2)
    assert ballots.state(annotator, 2) == first
    again, _ = begin(tmp_path, rows(5))
    assert again.state(annotator, 2) == first
    assert (first.num_done, first.num_left, first.previous) == (0, 5, None)
    second = cast(ballots, annotator, first)
    assert (second.num_done, second.num_left, second.previous) == (1, 4, 0)


def test_what_is_left_unanswered_goes_to_others_after_a_while(tmp_path: Path) -> None:
    now = [1_000.0]
    ballots, _ = begin(tmp_path, rows(1), clock=lambda: now[0])
    people = invited(ballots, 3)
    assert [ballots.state(annotator, 2).given is not None for annotator in people] == [True, True, False]
    now[0] += ballots_module.HELD_SECONDS + 1
    assert ballots.state(people[2], 2).given is not None


def test_a_vote_is_counted_once_and_can_be_changed(tmp_path: Path) -> None:
    ballots, _ = begin(tmp_path, rows(3))
    (annotator,) = invited(ballots, 1)
    first = ballots.state(annotator, 2)
    after = cast(ballots, annotator, first, "left")
    assert cast(ballots, annotator, first, "left") == after  # the reply was lost, it is sent again
    with pytest.raises(Refused, match="key_reused"):
        cast(ballots, annotator, first, "right")
    back = ballots.state(annotator, 2, 0)
    assert back.given is not None
    assert (back.given.choice, back.given.question, back.previous) == ("left", first.given.question, None)
    changed = cast(ballots, annotator, back, "both_bad", key=key(7), comment="no")
    assert changed == after
    (vote,) = votes(ballots.database)
    assert (vote.choice, vote.comment, vote.earlier) == ("both_bad", "no", ("left",))
    assert ballots.state(annotator, 2, 0).given.comment == "no"


def test_votes_on_what_was_not_given_are_refused(tmp_path: Path) -> None:
    ballots, asked = begin(tmp_path, rows(3))
    (annotator,) = invited(ballots, 1)
    state = ballots.state(annotator, 2)
    said = {"key": key(1), "choice": "tie", "comment": "", "seconds": 1.0}
    with pytest.raises(Refused, match="unknown"):
        ballots.vote(annotator, 2, question="f" * 24, **said)
    other = next(question.id for question in asked if question.id != state.given.question)
    with pytest.raises(Refused, match="not_given"):
        ballots.vote(annotator, 2, question=other, **said)
    assert not votes(ballots.database)


def test_threads_and_processes_vote_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    ballots, _ = begin(tmp_path, rows(20))
    elsewhere, _ = begin(tmp_path, rows(20))  # a second connection, as another process has it
    people = invited(ballots, 6)
    threads = [
        threading.Thread(target=everything, args=(place, annotator))
        for place, annotator in zip([ballots, elsewhere] * 3, people, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted = Counter(vote.item for vote in votes(ballots.database))
    assert set(counted.values()) == {2}
    with ballots.database.reading() as connection:
        assert set(connection.execute("SELECT num_votes FROM question")) == {(2,)}
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    ballots, _ = begin(tmp_path, rows(1))

    def stopped_in_the_middle() -> None:
        with ballots.database.transaction() as connection:
            connection.execute("INSERT INTO annotator (name, token, since) VALUES ('x', x'00', 0)")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped_in_the_middle()
    assert ballots.names() == []


def test_planted_questions_come_at_their_share_and_failures_are_seen(tmp_path: Path) -> None:
    ballots, asked = begin(tmp_path, rows(40), attention_share=0.1)
    careless, careful = invited(ballots, 2)
    assert everything(ballots, careless, "tie") == pytest.approx(44, abs=2)
    planted = {question.id for question in asked if question.planted}
    state = ballots.state(careful, 2)
    assert state.num_left == pytest.approx(44, abs=2)
    while state.given is not None:
        better = "right" if state.given.swapped else "left"  # the first text, which is not the spoiled one
        state = cast(ballots, careful, state, better if state.given.question in planted else "both_bad")
    found = votes(ballots.database)
    checks = [vote for vote in found if vote.planted]
    assert {(vote.annotator, vote.failed) for vote in checks} == {("annotator-1", True), ("annotator-2", False)}
    assert len(checks) == pytest.approx(8, abs=3)
    assert {vote.better for vote in checks if not vote.failed} <= {STRONG, WEAK}
    assert all(vote.failed is None for vote in found if not vote.planted)
    assert all(None in vote.shown for vote in checks)


def test_a_check_of_ratings_fails_on_the_axis_that_was_spoiled() -> None:
    def rated(planted: str, **scores: int) -> Vote:
        low = dict.fromkeys(("accuracy", "fluency", "informativeness", "coherence", "harmlessness"), 1)
        return Vote("a", "1", (None,), low | scores, "", 1.0, 0.0, planted, ())

    assert rated(SHUFFLED, fluency=2).failed
    assert not rated(SHUFFLED, accuracy=3).failed
    assert rated("another", accuracy=2).failed
    assert not rated("another", fluency=3).failed


def test_a_link_is_kept_as_its_digest_and_can_be_replaced(tmp_path: Path) -> None:
    ballots, _ = begin(tmp_path, rows(2))
    name, token = ballots.invite("anna")
    annotator = ballots.annotator(token)
    assert (name, len(token)) == ("anna", 32)
    everything(ballots, annotator)
    renewed = ballots.renew("anna")
    assert ballots.annotator(token) is None
    assert ballots.annotator(renewed) == annotator
    assert len(votes(ballots.database)) == 2
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("ballots.sqlite*"))
    assert b"anna" in kept
    assert token.encode() not in kept
    assert renewed.encode() not in kept
    assert (tmp_path / "ballots.sqlite").stat().st_mode & 0o077 == 0
    with pytest.raises(InputError, match='there is an annotator "anna" already'):
        ballots.invite("anna")
    with pytest.raises(InputError, match=r'there is no annotator "eva"(.|\n)*anna'):
        ballots.renew("eva")


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x1b[2J", "a\u202eb", "\ud83d"])
def test_a_name_can_be_seen(tmp_path: Path, name: str) -> None:
    ballots, _ = begin(tmp_path, rows(1))
    with pytest.raises(InputError, match="is no name: it is blank or has characters that cannot be seen"):
        ballots.invite(name)
    assert ballots.names() == []


def test_who_has_no_name_gets_a_free_one(tmp_path: Path) -> None:
    ballots, _ = begin(tmp_path, rows(1))
    assert [ballots.invite(name)[0] for name in (None, "annotator-3", None, None)] == [
        *("annotator-1", "annotator-3", "annotator-4", "annotator-5")
    ]


def test_a_number_does_not_come_again(tmp_path: Path) -> None:
    ballots, _ = begin(tmp_path, rows(1))
    ballots.invite()
    ballots.delete("annotator-1")
    assert ballots.invite()[0] == "annotator-2"  # an export may name the first


def test_what_is_deleted_is_gone_from_the_file(tmp_path: Path) -> None:
    ballots, _ = begin(tmp_path, rows(2))
    tokens = [ballots.invite(name)[1] for name in ("anna-of-warsaw", "eva")]
    for token in tokens:
        annotator = ballots.annotator(token)
        state = ballots.state(annotator, 2)
        state = cast(ballots, annotator, state, comment=f"remark {annotator}")
        cast(ballots, annotator, ballots.state(annotator, 2, 0), comment=f"changed {annotator}", key=key(annotator))
    assert ballots.delete("anna-of-warsaw") == 2
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("ballots.sqlite*"))
    assert b"remark 2" in kept
    for gone in (b"anna-of-warsaw", b"remark 1", b"changed 1"):
        assert gone not in kept
    assert ballots.annotator(tokens[0]) is None
    assert [vote.annotator for vote in votes(ballots.database)] == ["eva"]
    with ballots.database.reading() as connection:
        assert connection.execute("SELECT SUM(num_votes) FROM question").fetchone() == (1,)
    with pytest.raises(Refused, match="token"):
        ballots.state(1, 2)
    assert ballots.delete(None) == 2
    assert ballots.names() == []
    with pytest.raises(InputError, match='there is no annotator "eva"'):
        ballots.delete("eva")


def test_a_log_that_cannot_be_emptied_is_told(tmp_path: Path) -> None:
    ballots, _ = begin(tmp_path, rows(1))
    ballots.invite("anna")
    with ballots.database.reading() as connection:
        connection.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(tmp_path / "ballots.sqlite", isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT * FROM annotator").fetchall()
    with pytest.raises(StoreError, match="it is deleted, but a copy stays in the log"):
        ballots.delete("anna")
    other.close()
    ballots.database.close()
    assert not (tmp_path / "ballots.sqlite-wal").exists()
    assert b"anna" not in (tmp_path / "ballots.sqlite").read_bytes()


def test_ballots_belong_to_their_answers(tmp_path: Path) -> None:
    begin(tmp_path, rows(2))
    with pytest.raises(StoreError, match="it holds votes on other answers"):
        begin(tmp_path, rows(3))
    with pytest.raises(StoreError, match=r"it was begun with mode compare \(not rate\)"):
        begin(tmp_path, rows(2), "rate")
    with pytest.raises(StoreError, match=r"attention 0.0 \(not 0.2\)"):
        begin(tmp_path, rows(2), attention_share=0.2)


@pytest.mark.parametrize("version", [0, 1])
def test_a_file_of_something_else_is_left_as_it_is(tmp_path: Path, version: int) -> None:
    other = sqlite3.connect(tmp_path / "ballots.sqlite")
    other.execute("CREATE TABLE t (x)")
    other.execute(f"PRAGMA user_version = {version}")
    other.close()
    before = (tmp_path / "ballots.sqlite").read_bytes()
    with pytest.raises(StoreError, match="this is no file of ballots"):
        Ballots(tmp_path / "ballots.sqlite")
    with pytest.raises(StoreError, match="this is no file of ballots"):
        begin(tmp_path, rows(1))
    assert (tmp_path / "ballots.sqlite").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"ballots.sqlite", "answers.jsonl"}


def test_what_cannot_be_wiped_now_is_told(tmp_path: Path) -> None:
    ballots, _ = begin(tmp_path, rows(1))
    with ballots.database.reading() as connection:
        connection.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(tmp_path / "ballots.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="it is deleted, but a copy stays in the log beside the file: database is"):
        ballots.database.wipe()
    other.close()


def test_what_is_no_file_of_ballots_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there are no ballots here"):
        Ballots(tmp_path / "none.sqlite")
    text = tmp_path / "text.sqlite"
    text.write_text("no database " * 100)
    with pytest.raises(StoreError, match="this is no file of ballots"):
        Ballots(text)
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(StoreError, match="this is no file of ballots"):
        Ballots(tmp_path / "empty.sqlite")
    (tmp_path / "of").mkdir()
    ballots, _ = begin(tmp_path / "of", rows(1))
    with ballots.database.transaction() as connection:
        connection.execute("PRAGMA user_version = 2")
    ballots.database.close()
    with pytest.raises(StoreError, match="the form of this file is 2, not 1: another version made it"):
        Ballots(tmp_path / "of" / "ballots.sqlite")
    (tmp_path / "ballots.sqlite").mkdir()
    with pytest.raises(StoreError, match="the ballots cannot be opened"):
        begin(tmp_path, rows(1))
