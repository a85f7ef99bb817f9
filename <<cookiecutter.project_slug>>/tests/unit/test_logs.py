"""What a log line for programs holds."""

import json
import logging
from logging.config import DictConfigurator

import pytest

from <<cookiecutter.package_name>>.logs import log_config
from <<cookiecutter.package_name>>.settings import Settings


def test_a_line_of_json_holds_a_message_and_its_traceback() -> None:
    config = log_config(Settings(log_format="json"))
    formatter = config["formatters"][config["handlers"]["stderr"]["formatter"]]
    with pytest.raises(ZeroDivisionError) as raised:
        divmod(2, 0)
    trace = (raised.type, raised.value, raised.tb)
    record = {"levelname": "ERROR", "name": "shop", "msg": "sold %d", "args": (2,)}
    line = (
        DictConfigurator(config)
        .configure_formatter(formatter)
        .format(logging.makeLogRecord({**record, "exc_info": trace}))
    )
    logged = json.loads(line)
    assert "\n" not in line
    assert (logged["level"], logged["logger"], logged["message"]) == ("ERROR", "shop", "sold 2")
    assert "ZeroDivisionError: " in logged["exc_info"]
