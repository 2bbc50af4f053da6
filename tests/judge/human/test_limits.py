"""A bucket of requests."""

from lingraft.judge.human import limits
from lingraft.judge.human.limits import RateLimit


def test_a_burst_and_then_so_many_a_second() -> None:
    now = [0.0]
    limit = RateLimit(2, 3, lambda: now[0])
    assert [limit.wait("a") for _ in range(4)] == [0, 0, 0, 1]
    assert limit.wait("b") == 0
    now[0] = 0.5
    assert [limit.wait("a"), limit.wait("a")] == [0, 1]
    now[0] = 100
    assert [limit.wait("a") for _ in range(4)] == [0, 0, 0, 1]


def test_a_slow_limit_says_how_long() -> None:
    limit = RateLimit(0.1, 1, lambda: 0.0)
    assert [limit.wait("a"), limit.wait("a")] == [0, 10]


def test_buckets_that_are_full_again_are_forgotten() -> None:
    now = [0.0]
    limit = RateLimit(1, 1, lambda: now[0])
    for number in range(limits._SWEEP + 1):
        limit.wait(number)
    now[0] = 10
    limit.wait("last")
    assert len(limit._buckets) == 1
