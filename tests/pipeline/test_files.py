from lesions.pipeline.files import read_json, read_table, write_json


def test_ids_of_digits_keep_their_zeros_and_numbers_stay_numbers(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text(
        "image_id,lesion_id,group,label,age\n0012,007,007,4,\n12,7,7,5,35.0\n", encoding="utf-8"
    )
    table = read_table(file)
    assert table["image_id"].tolist() == ["0012", "12"]
    assert table["lesion_id"].tolist() == table["group"].tolist() == ["007", "7"]
    assert table["label"].tolist() == [4, 5]
    assert table["age"].isna().tolist() == [True, False]


def test_json_rounds_floats_and_nothing_else(tmp_path):
    file = tmp_path / "scores.json"
    scores = {"n": 3, "deep": {"a": 2 / 3, "none": None, "list": ["df", 1 / 3, {"b": 1 / 3}]}}
    write_json(file, scores, decimals=2)
    assert read_json(file) == {
        "n": 3, "deep": {"a": 0.67, "none": None, "list": ["df", 0.33, {"b": 0.33}]},
    }  # fmt: skip
    write_json(file, {"p": 1.44e-6, "zero": 0.0, "30–44": 1}, decimals=4)
    assert read_json(file) == {"p": 1.4e-6, "zero": 0, "30–44": 1}
    assert '"30–44"' in file.read_text(encoding="utf-8")
