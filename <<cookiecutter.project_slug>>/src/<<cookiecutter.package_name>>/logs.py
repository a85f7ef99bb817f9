"""What the service logs, and how: lines for people, or JSON for programs, on standard error.

A module logs through `logging.getLogger(__name__)`. Only who serves configures logging, so that
tests and other programs have their own.
"""

from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS

from <<cookiecutter.package_name>>.settings import Settings


def log_config(settings: Settings) -> dict[str, Any]:
    """Describe logging to `logging.config.dictConfig`. What uvicorn logs goes the same way."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            # testdb reads it, to show what went wrong: testdb/processes/reports.py.
            "text": {"format": "%(asctime)s %(levelname)-8s %(name)s: %(message)s"},
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "fmt": ["levelname", "name", "message"],
                "rename_fields": {"levelname": "level", "name": "logger"},
                "timestamp": True,
                "reserved_attrs": [*RESERVED_ATTRS, "color_message"],  # uvicorn's, for terminals
            },
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": settings.log_format}
        },
        "root": {"handlers": ["stderr"], "level": settings.log_level},
    }
