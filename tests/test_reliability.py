"""The numbers of cases in docs/explanation/reliability.md are those that pytest collects."""

import re
import subprocess
import sys

from cloned import ROOT

ROW = re.compile(r"^\| .+ \| `(\S+)` \| (\d+) \|$", re.MULTILINE)


def test_the_numbers_of_cases_are_those_of_pytest():
    page = (ROOT / "docs/explanation/reliability.md").read_text(encoding="utf-8")
    stated = {tests: int(n_cases) for tests, n_cases in ROW.findall(page)}
    assert len(stated) == page.count("\n|") - 2  # all rows but the two of the header
    files = sorted({tests.partition("::")[0] for tests in stated})
    command = (sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider")
    done = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout
    collected = [line for line in done.stdout.splitlines() if "::" in line]
    assert stated == {tests: sum(name.startswith(tests) for name in collected) for tests in stated}
