"""The diagnoses that models tell apart: the section `classes`."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from lesions.config.types import MAX_NAME_LENGTH, Section, refuse_ignored, refuse_repeated

# Words that pandas reads from a table as something else than text.
NOT_TEXT = ("na", "nan", "null", "none", "true", "false", "inf", "infinity")


def _refuse_reserved(code: str) -> str:
    if code.lower() in NOT_TEXT or code == "all":
        raise ValueError(f"the code {code} has a meaning of its own in tables; choose another")
    return refuse_ignored(code)


Code = Annotated[
    str,
    Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=MAX_NAME_LENGTH),
    AfterValidator(_refuse_reserved),
]


class Classes(Section):
    """Codes in the order of the labels; names and malignancy, which no training depends on."""

    codes: Annotated[
        list[Code], Field(min_length=2, max_length=255), AfterValidator(refuse_repeated)
    ]
    names: dict[Code, Annotated[str, Field(min_length=1)]]
    malignant: Annotated[list[Code], AfterValidator(refuse_repeated)]

    @model_validator(mode="after")
    def _names_are_of_the_codes(self) -> Self:
        missing = [code for code in self.codes if code not in self.names]
        if missing:
            raise ValueError(f"names has no name for {missing[0]}; add '{missing[0]}: <name>'")
        for section in ("names", "malignant"):
            unknown = [code for code in getattr(self, section) if code not in self.codes]
            if unknown:
                raise ValueError(
                    f"{section} has {unknown[0]}, which codes lacks; codes has "
                    f"{', '.join(self.codes)}"
                )
        return self

    @model_validator(mode="after")
    def _malignant_names_one_task(self) -> Self:
        if "malignant" in self.codes and len(self.malignant) > 1:
            raise ValueError(
                "the code malignant names the task of all malignant classes; choose another code"
            )
        return self
