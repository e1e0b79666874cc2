"""Make the page that `dvc plots show` and `dvc plots diff` fill, for opening without a network.

DVC's own page loads its chart library from the network. This one holds the library, 0.9 MB, so it
is made by `make setup` and kept out of Git: `.dvc/plots.html`, named in `.dvc/config.local`.
"""

import subprocess
from pathlib import Path

import vl_convert

TEMPLATE = Path("templates/plots.html")
PAGE = Path(".dvc/plots.html")
LIBRARY = "<!-- library -->"


def main() -> None:
    """Write the page and tell DVC of it."""
    script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    template = TEMPLATE.read_text(encoding="utf-8")
    page = template.replace(LIBRARY, f"<script>{script}</script>")
    PAGE.write_text(page, encoding="utf-8")
    # A path in the configuration is taken from the folder .dvc.
    command = ["dvc", "config", "--local", "plots.html_template", PAGE.name]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
