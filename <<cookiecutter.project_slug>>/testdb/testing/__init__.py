"""The pytest side: each worker has its databases, each test finds them as the template was.

pytest loads plugin.py, and tests/conftest.py builds its fixtures on worker.py and sessions.py.
Start with `WorkerDatabases.acquire` in worker.py.
"""
