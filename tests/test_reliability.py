"""The table of docs/RELIABILITY.md beside what pytest finds."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^\| .+ \| `(\S+)` \| (\d+) \|$", re.MULTILINE)


def test_the_counts_are_those_of_pytest():
    table = (ROOT / "docs/RELIABILITY.md").read_text(encoding="utf-8")
    stated = {place: int(count) for place, count in ROW.findall(table)}
    assert len(stated) == table.count("\n|") - 2  # all rows but the header's two
    files = sorted({place.partition("::")[0] for place in stated})
    command = (sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider")
    listed = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, encoding="utf-8")
    assert listed.returncode == 0, listed.stdout
    names = [line for line in listed.stdout.splitlines() if "::" in line]
    assert stated == {place: sum(name.startswith(place) for name in names) for place in stated}
