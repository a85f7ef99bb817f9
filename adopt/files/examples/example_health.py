"""The service is ready. Copy this to example_<what it shows>.py: it runs on databases of its own.

PYTHONPATH=. python examples/example_health.py, or invoke examples.run
"""

from testdb.adapter import HEALTH
from testdb.processes.examples import service_client

with service_client(__file__) as client:
    client.get(HEALTH).raise_for_status()
