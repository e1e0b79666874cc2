"""Fill the README's marked blocks from the files and the command that they quote.

A block begins with `<!-- from SOURCE -->` and ends with `<!-- end -->`; SOURCE is a file, or
`make dag`. With `--check` nothing is written: the exit status says whether a block is stale.
"""

import re
import subprocess
import sys
from pathlib import Path

BLOCK = re.compile(r"(<!-- from (?P<source>.+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def quote(match: re.Match) -> str:
    """Give a block anew from its source."""
    if match["source"] == "make dag":
        command = [sys.executable, "tools/dag.py"]
        graph = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout
        text = f"```mermaid\n{graph}```\n"
    else:
        text = Path(match["source"]).read_text(encoding="utf-8")
    return f"{match[1]}\n{text}\n{match[3]}"


def main() -> None:
    """Write or check README.md in the working directory."""
    readme = Path("README.md")
    old = readme.read_text(encoding="utf-8")
    new = BLOCK.sub(quote, old)
    if "--check" in sys.argv[1:]:
        sys.exit("README.md quotes old results; run 'make readme'" if new != old else 0)
    readme.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
