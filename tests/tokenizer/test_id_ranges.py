import numpy as np

from lingraft.tokenizer.id_ranges import in_ranges, ranges


def test_ranges_of_ids() -> None:
    assert ranges([]) == []
    assert ranges([3, 4, 5, 9, 11, 12]) == [[3, 6], [9, 10], [11, 13]]
    ids = sorted(np.random.default_rng(1).choice(1000, 400, replace=False).tolist())
    assert in_ranges(ranges(ids)) == ids
