"""What all figures share: Matplotlib's defaults, the style of small print, saving."""

from pathlib import Path

from matplotlib import rc_context, rcParamsDefault
from matplotlib.figure import Figure

SMALL_PRINT = {"fontsize": 7, "color": "0.35"}
# Matplotlib's defaults, whatever the user's matplotlibrc sets.
default_style = rc_context(rcParamsDefault)


@default_style
def save_figure(figure: Figure, path: Path) -> None:
    """Save a figure as PNG, without Matplotlib's version in the file's metadata."""
    figure.savefig(path, metadata={"Software": None})
