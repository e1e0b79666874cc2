"""Which models there are to predict with, and where."""

from pathlib import Path

RELEASED = Path(__file__).parents[1] / "released"  # in the package
EXPORTS = Path("exports")  # of stage `export`, in the folder of a study
SUFFIX = ".onnx"


def list_models() -> dict[str, Path]:
    """Return name to file: models that come with the package, then those in the folder `exports`.

    A model of the study in the working directory takes the place of one of the package with the
    same name.
    """
    folders = (RELEASED, EXPORTS)
    return {file.stem: file for folder in folders for file in sorted(folder.glob(f"*{SUFFIX}"))}


def find_model(name: str | None) -> Path:
    """Return the file of a model.

    Parameters
    ----------
    name
        A name of `list_models`, or a path; None: the model that comes with the package, whatever is
        in `exports`.

    Raises
    ------
    ValueError
        If there is no such model, or none or several come with the package.
    """
    models = list_models()
    if name is None:
        released = list(RELEASED.glob(f"*{SUFFIX}"))
        if len(released) != 1:
            raise ValueError(
                f"{len(released)} models come with this package; choose one with --model: "
                f"{', '.join(models) or 'the path of an ONNX file that stage export wrote'}"
            )
        return released[0]
    if name in models:
        return models[name]
    path = Path(name)
    if path.suffix == SUFFIX or path.exists():
        return path
    raise ValueError(
        f"There is no model {name}; choose from {', '.join(models) or 'none'}, or give the path "
        f"of an ONNX file that stage export wrote"
    )
