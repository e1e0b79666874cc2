"""Stage `train` of a model with a seed of its own."""

import yaml
from stage_commands import command, run, write_training_inputs

TRAIN = command("train", key="cnn", item_inputs="images.npy")


def test_a_model_is_trained_with_its_own_seed_if_it_has_one(tmp_path):
    write_training_inputs(tmp_path)
    file = tmp_path / "params.yaml"
    params = yaml.safe_load(file.read_text(encoding="utf-8"))
    trained = {}
    for own in (None, params["seed"], params["seed"] + 1):
        params["models"]["cnn"]["seed"] = own
        file.write_text(yaml.safe_dump(params), encoding="utf-8")
        run(tmp_path, TRAIN)
        trained[own] = (tmp_path / "models/cnn.keras").read_bytes()
    assert trained[None] == trained[params["seed"]] != trained[params["seed"] + 1]
