from lingraft.report.analysis import fertility


def test_models_are_held_against_the_first(report):
    axis, (base, graft, pretrain) = fertility.models(report)
    assert (base["role"], base["changed"], base["verdict"], base["added"]) == ("base", "", "", "")
    assert (graft["role"], graft["verdict"], graft["added"]) == ("between", "better", "+4,096")
    assert pretrain["changed"] == "−39.6% [−40.1%, −39.1%]"
    assert 0 < axis.percent(1.59) < axis.percent(2.66) < 100


def test_more_tokens_are_worse_and_as_many_are_no_difference(report):
    _, graft, pretrain = report["analysis"]["fertility"]["models"]
    graft["target"]["change"] = {"value": 0.02, "low": 0.01, "high": 0.03}
    pretrain["target"]["change"] = {"value": 0.0, "low": 0.0, "high": 0.0}
    assert [row["verdict"] for row in fertility.models(report)[1]] == ["", "worse", "no difference"]


def test_both_languages_have_every_model(report):
    (target, polish, ours), (replay, english, theirs) = fertility.languages(report)
    assert (target, polish, replay, english) == ("target", "Polish", "replay", "English")
    assert [row["model"] for row in ours] == [row["model"] for row in theirs] == ["base", "graft", "pretrain"]
    assert theirs[1]["changed"] == "+0.0% [−0.5%, +0.5%]"
    assert ours[0]["tokens_per_word"]["value"] == 2.65
