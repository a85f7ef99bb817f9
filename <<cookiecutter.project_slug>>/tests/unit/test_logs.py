"""What a log line looks like, as another process writes it: logging stays as it is in this one."""

import json
import os
import subprocess
import sys

from <<cookiecutter.package_name>>.settings import ENV_PREFIX

LOGS = """
import logging
from logging.config import dictConfig

from <<cookiecutter.package_name>>.logs import log_config
from <<cookiecutter.package_name>>.settings import read_settings

dictConfig(log_config(read_settings()))
logger = logging.getLogger("shop")
logger.debug("not shown")
logger.info("sold %d", 2, extra={"of": {"apple", 1j}})
try:
    raise ValueError("two\\nlines")
except ValueError:
    logger.exception("failed")
logging.getLogger("uvicorn.access").info(
    '%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", "/health", "1.1", 200
)
"""


def lines(log_format: str) -> list[str]:
    """Log in a process of its own, and get what it wrote."""
    env = os.environ | {f"{ENV_PREFIX}LOG_FORMAT": log_format}
    command = [sys.executable, "-c", LOGS]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return done.stderr.splitlines()


def test_text_is_for_people() -> None:
    first, *trace, last = lines("text")
    assert first.endswith(" INFO     shop: sold 2")
    assert trace[0].endswith(" ERROR    shop: failed")
    assert trace[-2:] == ["ValueError: two", "lines"]
    assert last.endswith(' INFO     uvicorn.access: 127.0.0.1:1 - "GET /health HTTP/1.1" 200')


def test_json_is_an_object_on_each_line() -> None:
    sold, failed, served = map(json.loads, lines("json"))
    assert sold | {"timestamp": "", "of": ""} == {
        "timestamp": "",
        "level": "INFO",
        "logger": "shop",
        "message": "sold 2",
        "of": "",
    }
    assert "apple" in sold["of"]
    assert failed["level"] == "ERROR"
    assert failed["exc_info"].endswith("ValueError: two\nlines")
    assert served["message"] == '127.0.0.1:1 - "GET /health HTTP/1.1" 200'
