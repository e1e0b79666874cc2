"""What the API returns, as its OpenAPI description has it."""

from pydantic import BaseModel, ConfigDict, Field

# In examples; the classes of a model are at /models.
CODE = "malignant"
PROBABILITIES = {"malignant": 0.71, "benign": 0.29}


class Answer(BaseModel):
    """What all answers share: a field that is not named here is a fault."""

    model_config = ConfigDict(extra="forbid")


class Explanation(Answer):
    """Where the model looks: two pictures of the same size."""

    photograph: str = Field(description="the part that the model sees, JPEG in Base64")
    evidence: str = Field(description="evidence for the predicted class, PNG in Base64")


class Prediction(Answer):
    """What a model says of a photograph, as `lesions predict --json` has it; or `error`."""

    file: str = Field(description="name of the file", examples=["lesion.jpg"])
    predicted: str | None = Field(None, description="code of the class", examples=[CODE])
    probabilities: dict[str, float] | None = Field(
        None, description="calibrated, by class", examples=[PROBABILITIES]
    )
    prediction_set: list[str] | None = Field(
        None,
        description="classes that are not excluded; null: the model has no prediction sets",
        examples=[[CODE]],
    )
    class_conditional_set: list[str] | None = Field(
        None, description="the same, with a threshold for each class", examples=[[CODE]]
    )
    distance: float | None = Field(
        None,
        description="from the training photographs, in units of the threshold; null: unknown",
        examples=[0.84],
    )
    out_of_distribution: bool | None = Field(
        None, description="whether the distance is above 1", examples=[False]
    )
    explanation: Explanation | None = None
    error: str | None = Field(None, description="why the file cannot be read", examples=[None])


class Predictions(Answer):
    """One prediction for each file, in their order."""

    disclaimer: str
    model: str = Field(examples=["efficientnet_lite0"])
    predictions: list[Prediction]


class Failure(Answer):
    """What is wrong, and how to mend it."""

    error: str = Field(examples=["lesion.jpg is cut off after 2051 bytes; fetch it again"])
    predictions: list[Prediction] | None = Field(
        None, description="what is wrong with each file, if none can be read"
    )


class Estimate(Answer):
    """A score and its confidence interval; null where it cannot be measured."""

    value: float | None
    low: float | None
    high: float | None


class Subgroup(Answer):
    """The subgroup of photographs with the lowest balanced accuracy."""

    column: str = Field(examples=["localization"])
    group: str = Field(examples=["face"])
    n_images: int
    balanced_accuracy: Estimate


class Scores(Answer):
    """How good a model is on the validation images of its study."""

    partition: str = Field(examples=["val"])
    n_images: int
    accuracy: Estimate
    balanced_accuracy: Estimate
    confusion: dict[str, dict[str, int]] = Field(description="diagnosis to predicted to number")
    weakest: Subgroup | None


class Model(Answer):
    """A model that can be chosen."""

    name: str
    study: str
    classes: dict[str, str] = Field(description="code to name")
    calibrated: bool
    coverage: float | None = Field(description="nominal coverage of its prediction sets")
    tells_unlike: bool = Field(description="whether it tells photographs unlike its training ones")
    explains: bool = Field(description="whether it has class maps")
    synthetic: bool = Field(description="whether it was trained on synthetic photographs")
    scores: Scores | None


class Limits(Answer):
    """What a request may have."""

    files: int
    bytes: int = Field(description="of the whole request")


class Models(Answer):
    """The models, the first of which is used where none is named."""

    disclaimer: str
    models: list[Model]
    examples: list[str] = Field(description="names of photographs at /examples/<name>.jpg")
    limits: Limits


class Status(Answer):
    """Whether the server works."""

    status: str
