"""Clone databases in a baked project, and print what a template, a clone and a drop cost."""

import json
import os
import time

from testdb.identity.disposable import Kind
from testdb.runs.run import start

clones, drops = [], []
with start() as run:
    built = run.template("main").build_seconds
    for _ in range(int(os.environ["BENCHMARK_TESTS"])):
        started = time.perf_counter()
        databases = run.create("benchmark", Kind.CLONE)
        cloned = time.perf_counter()
        run.drop(databases)
        clones.append(cloned - started)
        drops.append(time.perf_counter() - cloned)
print(json.dumps({"built": built, "clones": clones, "drops": drops}))
