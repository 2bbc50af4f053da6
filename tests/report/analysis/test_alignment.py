import pytest

from lingraft.report.analysis import alignment


def test_models_are_held_against_the_first_and_against_spelling(report):
    axis, (base, graft, pretrain) = alignment.models(report)
    assert (base["role"], base["gained"], base["verdict"], base["ends"]) == ("base", None, "", "[1.9%, 7.9%]")
    assert (graft["role"], graft["verdict"], graft["spelling"]) == ("between", "no difference", "no more than spelling")
    assert (pretrain["role"], pretrain["verdict"], pretrain["spelling"]) == ("adapted", "better", "above spelling")
    assert base["spelling"] == "below spelling"
    assert pretrain["gained"] == "+38.1 [+31.1, +45.1] points"
    assert 0 < axis.percent(1 / 130) < axis.percent(0.185) < axis.percent(0.46) < 100


def test_a_loss_is_worse(report):
    report["analysis"]["alignment"]["models"][1]["gain"] = {"value": -0.2, "low": -0.3, "high": -0.1}
    assert alignment.models(report)[1][1]["verdict"] == "worse"


def test_the_variant_of_the_headline_is_drawn_first(report):
    telling, others = alignment.layers(report)
    assert telling.title == alignment.VARIANTS["centered_margin"]
    assert [one.title for one in others] == [
        title for variant, title in alignment.VARIANTS.items() if variant != "centered_margin"
    ]
    assert [(line.label, len(line.dots), bool(line.band)) for line in telling.lines] == [
        ("base", 3, True),
        ("graft", 3, True),
        ("pretrain", 3, True),
    ]
    assert [level.label for level in telling.levels] == ["spelling alone", "chance"]
    assert all(tick.text.endswith("%") for tick in telling.y_ticks)


@pytest.mark.parametrize("variant", alignment.VARIANTS)
def test_every_variant_may_be_the_headline(report, variant):
    report["analysis"]["alignment"]["headline"] = f"{variant}, mean of all"
    telling, others = alignment.layers(report)
    assert telling.title == alignment.VARIANTS[variant]
    assert len(others) == 3
