"""Print the tables of a stage's explanations: `python tools/explanations.py FILE`.

FILE is what stage `explain` wrote. `tools/readme.py` quotes single tables in docs/.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from lesions.pipeline.files import read_json

# Of each table the key and heading of its columns; the first one says what a row is.
COLUMNS = {
    "randomization": {
        "layers": "layers with permuted weights, counted from the end",
        "correlation": "rank correlation with the map of the trained network",
    },
    "perturbation": {
        "order": "order of the pixels",
        "insertion": "insertion (high is good)",
        "insertion_difference": "class map minus this order",
        "deletion": "deletion (low is good)",
        "deletion_difference": "class map minus this order",
    },
    "localization": {
        "map": "map",
        "energy": "share of its energy in the lesion",
        "energy_above_gaussian": "more than the Gaussian, paired",
        "largest_inside": "largest value in the lesion",
    },
    "shortcuts": {
        "photographs": "photographs",
        "accuracy": "accuracy",
        "balanced_accuracy": "balanced accuracy",
        "roc_auc_macro": "ROC AUC",
    },
}


def render(found: Mapping, name: str) -> str:
    """Return a table of what the stage measured, in Markdown.

    Parameters
    ----------
    found
        The stage's measures, as `lesions.explain.measure.explain_images` returns them.
    name
        A key of `COLUMNS`.

    Raises
    ------
    ValueError
        If there is no such table, or this was not measured.
    """
    if name not in COLUMNS:
        raise ValueError(f"there is no table {name}; choose from {', '.join(COLUMNS)}")
    if found[name] is None:
        raise ValueError(f"{name} was not measured")
    rows = found[name]
    if name == "randomization":
        centre = {"layers": "none; a Gaussian in the centre", "correlation": rows["gaussian"]}
        rows = [
            row | {"layers": "all" if row["layers"] == rows["n_layers"] else row["layers"]}
            for row in rows["depths"]
        ] + [centre]
    columns = COLUMNS[name]
    lines = [list(columns.values()), ["---"] * len(columns)]
    lines += [[write_cell(row[key]) for key in columns] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def write_cell(cell: dict | str | int | None) -> str:
    """Return a text, or an estimate with its interval."""
    if cell is None or (isinstance(cell, dict) and cell["value"] is None):
        return "–"
    if not isinstance(cell, dict):
        return str(cell)
    value, *limits = (f"{cell[key]:.3f}" if cell[key] is not None else None for key in cell)
    text = value if None in limits else f"{value} ({limits[0]} to {limits[1]})"
    return text.replace("-", "−")


def main() -> None:
    """Print all tables that the file has."""
    if len(sys.argv) != 2:
        sys.exit("Name a file of stage explain: explanations/<model>.json")
    found = read_json(Path(sys.argv[1]))
    print("\n\n".join(render(found, name) for name in COLUMNS if found[name] is not None))


if __name__ == "__main__":
    main()
