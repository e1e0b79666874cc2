from lesions.export.scores import summarize

ESTIMATE = {"value": 0.8, "low": 0.7, "high": 0.9}


def make_details(**subgroups):
    columns = ("sex", "age_band", "localization", "dx_type")
    empty = {name: {"groups": {}, "too_small": {}, "worst": None} for name in columns}
    return {
        "partition": "val",
        "n_images": 90,
        "headline": {"accuracy": ESTIMATE, "balanced_accuracy": ESTIMATE, "brier": ESTIMATE},
        "confusion": {"a": {"a": 90}},
        "subgroups": empty | subgroups,
    }


def column(**scores):
    groups = {
        name: {"n_images": 40, "balanced_accuracy": ESTIMATE | {"value": value}, "classes": []}
        for name, value in scores.items()
    }
    worst = min(scores, key=scores.get)
    return {
        "groups": groups,
        "too_small": {},
        "worst": {"group": worst, "balanced_accuracy": scores[worst]},
    }


def test_the_weakest_subgroup_is_that_of_all_columns_but_the_confirmation():
    found = summarize(
        make_details(
            sex=column(male=0.8, female=0.7),
            localization=column(back=0.6, face=0.9),
            dx_type=column(consensus=0.1, histo=0.9),
        )
    )
    assert found["weakest"] == {
        "column": "localization",
        "group": "back",
        "n_images": 40,
        "balanced_accuracy": ESTIMATE | {"value": 0.6},
    }
    assert found["confusion"] == {"a": {"a": 90}}
    assert found["balanced_accuracy"] == ESTIMATE


def test_without_subgroups_there_is_no_weakest_one():
    assert summarize(make_details())["weakest"] is None
