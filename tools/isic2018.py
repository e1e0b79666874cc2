"""Download the test photographs of ISIC 2018's task 3, and their diagnoses, to test models on.

`python tools/isic2018.py FOLDER`, from the repository's folder: Harvard Dataverse's files, which
`data.external` of params.yaml can then name.
"""

import sys
from pathlib import Path

from lesions.sources import ISIC_2018, gather
from lesions.whole import replacing


def main() -> None:
    """Fill the folder, or leave it as it was."""
    if len(sys.argv) != 2 or not sys.argv[1] or sys.argv[1].startswith("-"):
        sys.exit(
            "One folder must be named, which receives the photographs; found "
            f"{' '.join(sys.argv[1:]) or 'none'}; run 'python tools/isic2018.py data/isic2018'."
        )
    folder = Path(sys.argv[1])
    try:
        with replacing(folder) as new:
            gather(ISIC_2018, new)
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    print(f"In params.yaml, under data, now set   external: {{isic2018: {folder}}}")


if __name__ == "__main__":
    main()
