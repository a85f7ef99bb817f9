"""A Django application with as many tables as the baked project has."""
