"""The service. It knows nothing of tests: nothing here imports testdb."""
