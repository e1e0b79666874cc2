import numpy as np
import pytest
from made_up_model import load_model

from lesions.app.models import RELEASED
from lesions.app.web.models import read_measured
from lesions.inference.exported import ExportedModel
from lesions.inference.self_test import TOLERANCE, answer, check


def test_the_packages_model_answers_as_when_it_was_exported():
    [path] = RELEASED.glob("*.onnx")
    stored = read_measured(path).self_test
    check(ExportedModel(path), stored)


def test_another_answer_is_a_fault(tmp_path):
    model = load_model(tmp_path)
    stored = np.array(answer(model))
    check(model, stored + 0.9 * TOLERANCE)
    with pytest.raises(ValueError, match=r"The model colours answers .* not .* as when it was"):
        check(model, stored + 1.1 * TOLERANCE)
    with pytest.raises(ValueError, match="The model colours answers"):
        check(model, [*stored, 0.0])


def test_nothing_that_can_be_compared_is_a_fault(tmp_path, monkeypatch):
    model = load_model(tmp_path)
    stored = answer(model)
    monkeypatch.setattr("lesions.inference.self_test.answer", lambda _: [np.nan, *stored[1:]])
    with pytest.raises(ValueError, match="The model colours answers"):
        check(model, stored)


def test_without_a_stored_answer_it_must_be_probabilities(tmp_path, monkeypatch):
    model = load_model(tmp_path)
    check(model, None)
    for wrong in ([0.5, 0.5, 0.5], [np.nan, 0.5, 0.5]):
        monkeypatch.setattr("lesions.inference.self_test.answer", lambda _, w=wrong: w)
        with pytest.raises(ValueError, match="no probabilities"):
            check(model, None)
