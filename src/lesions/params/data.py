"""What the data are: the section `data`."""

from typing import Annotated, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, field_validator, model_validator

from lesions.params.kinds import Folder, Name, Section, Seed, refuse_equal_in_lower_case
from lesions.taxonomy import PARTITIONS

LONGEST_DOWNLOAD = 200  # bytes; file systems allow 255, and a half-done one has a longer name
SAID_OF_THE_STUDY = ("measured", "published", *PARTITIONS)


class File(Section):
    """A file to download; without its SHA-256, the first one met is the right one."""

    url: Annotated[str, Field(pattern=r"^https?://[^/\s]+/\S+$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None

    @field_validator("url")
    @classmethod
    def _is_one(cls, url: str) -> str:
        try:
            urlsplit(url)
        except ValueError as error:  # of a bracket that is never closed, for one
            raise ValueError(f"it must be a URL, and is none: {error}") from None
        return url

    @property
    def name(self) -> str:
        """The file name that the URL ends in; '' where it ends in none."""
        name = unquote(urlsplit(self.url).path).rpartition("/")[2]
        return "" if name in (".", "..") else name


class Data(Section):
    """Stage `ingest`."""

    source: Literal["demo", "folder", "dataverse", "url", "kaggle", "medmnist"]
    path: Folder
    files: list[File]
    extra_images: Literal["refuse", "ignore"]
    n_images: Annotated[int, Field(ge=60, le=9_000_000)]
    seed: Seed
    external: dict[Name, Folder]

    @field_validator("external")
    @classmethod
    def _names_are_free(cls, external: dict[str, str]) -> dict[str, str]:
        refuse_equal_in_lower_case("external sets", external)
        for name in external:
            if name.lower() in SAID_OF_THE_STUDY:
                raise ValueError(
                    f"an external set may not be named {name}: the tables say "
                    f"{', '.join(SAID_OF_THE_STUDY)} of the study's own numbers"
                )
        return dict(sorted(external.items()))  # DVC does not compare the order of keys

    @model_validator(mode="after")
    def _url_has_files(self) -> Self:
        if self.source == "url" and not self.files:
            raise ValueError("source: url needs the files to download, {url, sha256}, in 'files'")
        named = {}
        for file in self.files:
            if len(file.name.encode()) > LONGEST_DOWNLOAD:
                raise ValueError(
                    f"the file name that a URL in 'files' ends in may have {LONGEST_DOWNLOAD} "
                    f"bytes; that of {file.url} has {len(file.name.encode())}; rename the file on "
                    "the server"
                )
            if not file.name or file.name in named:
                other = named.get(file.name)
                raise ValueError(
                    "every URL in 'files' must end in a file name of its own, for they come to lie "
                    f"in one folder; {file.url} ends in {f'that of {other}' if other else 'none'}; "
                    "rename the file on the server"
                )
            named[file.name] = file.url
        return self
