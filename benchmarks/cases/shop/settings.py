"""Settings of Django: the application and its database, on the server of the baked project."""

import os

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["BENCHMARK_SOCKET"],
        "PORT": "5432",
        "USER": "postgres",
        "NAME": "shop",
    }
}
INSTALLED_APPS = ["shop"]
ROOT_URLCONF = "shop.urls"
