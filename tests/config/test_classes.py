import copy

import pytest
from pydantic import ValidationError

from lesions.config.classes import Classes

TWO = {"codes": ["mel", "benign"], "names": {"mel": "melanoma", "benign": "all else"}}
TWO["malignant"] = ["mel"]


def refuse(**changes):
    """Return the message that refuses changed classes."""
    with pytest.raises(ValidationError) as refused:
        Classes.model_validate(copy.deepcopy(TWO) | changes)
    return str(refused.value)


def test_labels_are_in_the_order_of_the_codes_whatever_that_is():
    assert Classes.model_validate(TWO).codes == ["mel", "benign"]


def test_one_class_is_no_study():
    assert "at least 2 items" in refuse(codes=["mel"], names={"mel": "melanoma"})


def test_a_code_without_a_name_is_refused_with_the_line_to_add():
    message = refuse(names={"mel": "melanoma"})
    assert "names has no name for benign; add 'benign: <name>'" in message


def test_what_is_no_code_is_refused_in_names_and_in_malignant():
    message = refuse(names=TWO["names"] | {"nv": "naevus"})
    assert "names has nv, which codes lacks; codes has mel, benign" in message
    assert "malignant has bcc, which codes lacks" in refuse(malignant=["bcc"])


@pytest.mark.parametrize("key", ["codes", "malignant"])
def test_a_code_is_listed_once(key):
    assert "mel is listed 2 times; keep one" in refuse(**{key: ["mel", "benign", "mel"]})


@pytest.mark.parametrize("code", ["NA", "nan", "null", "None", "true", "all", "size"])
def test_a_word_with_a_meaning_of_its_own_is_no_code(code):
    names = TWO["names"] | {code: "x"}
    message = refuse(codes=["mel", "benign", code], names=names)
    assert "choose another" in message


@pytest.mark.parametrize("code", ["1", "a-b", "a b", "", "ä"])
def test_a_code_is_a_letter_then_letters_digits_and_underscores(code):
    names = TWO["names"] | {code: "x"}
    assert "string_pattern_mismatch" in refuse(codes=["mel", "benign", code], names=names)


def test_malignant_is_a_code_only_where_it_is_the_only_malignant_one():
    names = {"malignant": "cancer", "benign": "all else"}
    codes = ["malignant", "benign"]
    assert Classes.model_validate({"codes": codes, "names": names, "malignant": ["malignant"]})
    message = refuse(codes=codes, names=names, malignant=codes)
    assert "the code malignant names the task of all malignant classes" in message
