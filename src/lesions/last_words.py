"""What is said of a process that was killed or crashed, when it can say nothing itself."""

import atexit
import subprocess
from contextlib import suppress

# It waits at a pipe, which closes with the process at its other end, however that ended.
WAIT = r'read -r ended || printf "\n%s\n" "$1" >&2'
_waiting: list[subprocess.Popen] = []


def leave_last_words(message: str) -> None:
    """Have `message` printed to stderr if this process ends and Python does not: by a signal."""
    command = ["sh", "-c", WAIT, "sh", message]
    _waiting.append(subprocess.Popen(command, stdin=subprocess.PIPE))
    atexit.register(take_back)


def take_back() -> None:
    """Say nothing after all; at the end of Python this comes by itself."""
    while _waiting:
        shell = _waiting.pop()
        with suppress(BrokenPipeError):  # Ctrl-C ended it as well
            shell.communicate(b"ended\n")
