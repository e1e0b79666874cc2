"""The diagnoses that models tell apart: the section `classes`."""

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from lesions.config.types import Name, Section


class Classes(Section):
    """Codes in the order of the labels; names and malignancy, which no training depends on."""

    codes: Annotated[list[Name], Field(min_length=2, max_length=255)]
    names: dict[Name, Annotated[str, Field(min_length=1)]]
    malignant: list[Name]

    @field_validator("codes", "malignant")
    @classmethod
    def _refuse_repeated(cls, codes: list[str]) -> list[str]:
        repeated = [code for code in codes if codes.count(code) > 1]
        if repeated:
            raise ValueError(f"{repeated[0]} is listed {codes.count(repeated[0])} times; keep one")
        return codes

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
    def _no_code_is_a_row_of_the_tables(self) -> Self:
        if "all" in self.codes or ("malignant" in self.codes and len(self.malignant) > 1):
            reserved = "all" if "all" in self.codes else "malignant"
            raise ValueError(f"the code {reserved} names a row of the tables; choose another code")
        return self
