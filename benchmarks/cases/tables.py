"""Print how many tables the baked project has as it is."""

import my_service.app  # noqa: F401  imports all models
from my_service.databases import LOGICAL_DATABASES

print(len(LOGICAL_DATABASES["main"].tables))
