"""Models: users, and tables that no test writes to."""

import os

from django.db import models


class User(models.Model):  # noqa: DJ008  nobody prints it
    """A person, like the one of the baked project."""

    email = models.CharField(max_length=254, unique=True)
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField(auto_now_add=True)


for _number in range(int(os.environ["BENCHMARK_TABLES"]) - 1):
    type(
        f"Other{_number}",
        (models.Model,),
        {"__module__": __name__, "note": models.CharField(max_length=100)},
    )
