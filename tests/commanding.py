"""Runs `main.py` commands in forks of a process that has imported it once, so that a table of them takes seconds.

Reads one JSON object a line, {words, environment, out, err}, and answers each with its exit status.
"""

import json
import os
import sys
import traceback

import main


def run(words: list[str], environment: dict[str, str], out: str, err: str) -> None:
    """Become the command; never returns."""
    os.environ.clear()
    os.environ.update(environment)
    for number, path in enumerate((os.devnull, out, err)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC), number)
    sys.argv = ["main.py", *words]
    status = 0
    try:
        main.main()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(**json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
