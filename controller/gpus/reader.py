"""A process of its own that reads the GPUs: for each request, a line of JSON, it answers with one.

Refuses to outlive a trouble: after an error, or when the driver's library was replaced, it ends, and the next
one begins anew. It imports as little as can be, because it may have to be started again and again.

A request is `{"wait": seconds}`: that long it waits for a device to report something before it looks. An
answer has what `nvml.Library.look` tells and `events`; or `error` with `call` and `code`; or `replaced`.
"""

import json
import sys
from typing import Any

from controller.gpus import nvml


def answer(library: nvml.Library, wait: float) -> dict[str, Any]:
    """Look once."""
    if library.replaced:
        return {"replaced": True}
    events = library.wait(wait)
    return library.look() | {"events": events}


def main() -> int:
    """Answer until there is nobody who asks; the exit code."""
    library: nvml.Library | None = None
    for request in sys.stdin:
        try:
            library = library or nvml.Library()
            found = answer(library, float(json.loads(request)["wait"]))
        except nvml.Failed as failed:
            found = {"error": {"call": failed.call, "code": failed.code}}
        except Exception as defect:  # noqa: BLE001 - the one guard of a look: whoever asks hears of it
            found = {"error": {"call": "reader", "code": f"{type(defect).__name__}: {defect}"}}
        print(json.dumps(found), flush=True)  # noqa: T201 - this is how it answers
        if "error" in found or "replaced" in found:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
