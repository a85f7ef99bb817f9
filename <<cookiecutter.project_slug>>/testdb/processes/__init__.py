"""The service and the examples as child processes: on free ports, gone with their parent.

Examples, e2e tests and tasks import it. Start with `service_client` in examples.py.
"""
