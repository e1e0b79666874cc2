"""Put an exported model of this folder's study into the package, with its model card.

Run from the repository's folder: `python tools/release.py NAME`. The commit that adds the file is
the release; it replaces one that was there.
"""

from lesions.pipeline.cli import read_params

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from explanations import write_cell

from lesions.export.parity import MAX_LOSS
from lesions.inference.exported import ExportedModel
from lesions.pipeline.files import read_json

RELEASED = Path("src/lesions/released")
CARD = Path("MODEL_CARD.md")
MAX_BYTES = 8_000_000
OF_HAM10000 = (
    "The photographs of HAM10000, on which the model was trained, are CC BY-NC 4.0: the model is "
    "for research, not for commercial use."
)
OF_OTHERS = "What may be done with the model depends on the licence of its training photographs."


def release(name: str) -> list[Path]:
    """Copy the model, its JSON and its card to `RELEASED`, from which other models are removed.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    ValueError
        If the study is not up to date, does not export this model, or the model is too large or
        agrees too little with Keras.
    """
    params = read_params()
    if name not in params.exports:
        raise ValueError(
            f"NAME={name} is not in exports of params.yaml, which has "
            f"{', '.join(params.exports) or 'none'}; add it, and run 'dvc repro'"
        )
    dry = subprocess.run(["dvc", "repro", "--dry"], capture_output=True, encoding="utf-8")
    if "up to date" not in dry.stdout:
        raise ValueError("The study is not up to date; run 'dvc repro'")
    file, parity = Path(f"exports/{name}.onnx"), read_json(Path(f"exports/{name}.json"))
    if parity["differences"]["balanced_accuracy"]["low"] is None:
        raise ValueError(
            f"{file} was compared with Keras on {parity['n_images']} validation images, too few "
            "for an interval of the balanced accuracy; raise sets.study.split.val_size"
        )
    if not parity["may_be_released"]:
        raise ValueError(
            f"{file} may have a balanced accuracy that is {MAX_LOSS:g} lower than with Keras, see "
            f"exports/{name}.json; set exports.{name}.weights to float16 or float32"
        )
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(
            f"{file} has {file.stat().st_size:,} bytes, above the limit of {MAX_BYTES:,}; set "
            f"exports.{name}.weights to int8, or choose a smaller network"
        )
    text = CARD.read_text(encoding="utf-8").replace("library_name: keras", "library_name: onnx", 1)
    explanations = read_json(Path(f"explanations/{name}.json"))
    for old in (*RELEASED.glob("*.onnx"), *RELEASED.glob("*.json")):
        old.unlink()
    copied = [file, file.with_suffix(".json")]
    for made in copied:
        shutil.copyfile(made, RELEASED / made.name)
    licence = OF_HAM10000 if "license: cc-by-nc-4.0" in text else OF_OTHERS
    added = describe_file(ExportedModel(file).facts, parity, file, licence)
    added += describe_shortcuts(explanations, len(params.classes.codes))
    (RELEASED / CARD).write_text(f"{text}\n{added}", encoding="utf-8")
    return [*(RELEASED / made.name for made in copied), RELEASED / CARD]


def describe_file(facts: dict, parity: dict, file: Path, licence: str) -> str:
    """Return the section of the card that is about the released file."""
    distance, loss = facts["distance"], parity["differences"]
    lines = [
        f"- **What it is**: the model `{facts['name']}` as ONNX, weights as {facts['weights']}, "
        f"{file.stat().st_size:,} bytes, with all that predicting needs.",
        f"- **Licence**: the code is Apache-2.0. {licence}",
        f"- **Agreement with Keras**, on {parity['n_images']} {parity['partition']} images: the "
        f"same class for {100 * parity['same_class']:.1f} %, probabilities within "
        f"{parity['largest_difference']:.4f}; exported minus Keras, "
        + "; ".join(
            f"{key.replace('_', ' ')} {row['difference']:+.4f} ({row['low']:+.4f} to "
            f"{row['high']:+.4f})"
            for key, row in loss.items()
        )
        + ".",
        "- **Calibration** (temperature, prediction sets, decision rule) was fitted on this file's "
        "own predictions. The scores above are those of the Keras model.",
        f"- **Unlike the training photographs** is what has a larger distance than all but "
        f"{100 * distance['false_alarms']:g} % of {distance['n_images']} validation photographs. "
        "It detects many pictures that are no dermatoscopic photographs, not all: see "
        "docs/explanation/predicting.md.",
        f"- **Made of** `models/{facts['name']}.keras`, SHA-256 `{facts['model_sha256']}`.",
    ]
    return "## The released file\n\n" + "\n".join(lines) + "\n"


def describe_shortcuts(explanations: Mapping, n_classes: int) -> str:
    """Return the line of the card that says what the model recognises without the lesion."""
    rows = {row["photographs"]: row for row in explanations["shortcuts"] or ()}
    if not rows:
        return "- **Without the lesion**: not measured, since the study names no masks.\n"
    before, after = rows["as they are"], rows["without the lesion, inpainted"]
    area, balanced = after["roc_auc_macro"], after["balanced_accuracy"]
    scores = " and ".join(
        f"{word} {write_cell(found)}"
        for word, found in (("ROC AUC", area), ("balanced accuracy", balanced))
    )
    limit = (area["value"] if area["low"] is None else area["low"]) or 0.0
    says = "it still recognises diagnoses" if limit > 0.5 else "it hardly recognises diagnoses"
    end = "; its scores are not of the lesion alone" if limit > 0.5 else ""
    return (
        f"- **Without the lesion {says}**{end}. On {explanations['n_images']} validation images "
        f"with the lesion inpainted: {scores}. By chance these are 0.5 and {1 / n_classes:.3f}; "
        f"with the lesion {before['roc_auc_macro']['value']:.3f} and "
        f"{before['balanced_accuracy']['value']:.3f}. See docs/explanation/explanations.md.\n"
    )


def main() -> None:
    """Release the model that the command line names, and print what was written."""
    if len(sys.argv) != 2 or not sys.argv[1]:
        sys.exit("Name a model of exports in params.yaml: make release NAME=efficientnet_lite0")
    try:
        written = release(sys.argv[1])
    except (ValueError, FileNotFoundError) as error:
        sys.exit(str(error))
    print("\n".join(str(file) for file in written))
    print("The artifact in dvc.yaml must name this file; README and tests show the one before it.")


if __name__ == "__main__":
    main()
