from lesions.tables import read_table


def test_ids_of_digits_keep_their_zeros_and_numbers_stay_numbers(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text("image_id,lesion_id,group,label,age\n0012,007,007,4,\n12,7,7,5,35.0\n")
    table = read_table(file)
    assert table["image_id"].tolist() == ["0012", "12"]
    assert table["lesion_id"].tolist() == table["group"].tolist() == ["007", "7"]
    assert table["label"].tolist() == [4, 5]
    assert table["age"].isna().tolist() == [True, False]
