"""The process in which objects are handled: `python -m placid_kedro.objects.worker MEMORY_MB`.

It reads one JSON line a job from its standard input and answers with one JSON line. It ends with its input.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any, TextIO

from placid_kedro.objects.tasks import TASKS
from placid_kedro.rejections import Reason, RejectedAsset


def handle(job: dict[str, Any]) -> dict[str, Any]:
    """Do one job; whatever it raises becomes an answer."""
    try:
        return {"result": TASKS[job["task"]](job["arguments"])}
    except RejectedAsset as error:
        return {"reason": error.reason.value, "detail": str(error)}
    except MemoryError:
        return {"reason": Reason.OUT_OF_MEMORY.value, "detail": "the object needs more memory than allowed"}
    except Exception as error:  # one object must not end the process that handles the next
        return {"reason": Reason.CRASHED.value, "detail": f"{type(error).__name__}: {error}"}


def serve(jobs: TextIO, answers: TextIO) -> None:
    """Answer jobs until there are no more."""
    print(json.dumps({"ready": os.getpid()}), file=answers, flush=True)
    for line in jobs:
        print(json.dumps(handle(json.loads(line))), file=answers, flush=True)


def main() -> None:
    """Limit the memory, keep standard output for answers alone, and serve."""
    limit = int(sys.argv[1]) * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    # Libraries print; their words go to standard error.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
