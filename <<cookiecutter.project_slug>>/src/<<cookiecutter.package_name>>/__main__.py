"""Serve, as the settings say: `python -m` this package."""

import uvicorn

from <<cookiecutter.package_name>>.databases import check_urls
from <<cookiecutter.package_name>>.logs import log_config
from <<cookiecutter.package_name>>.settings import error_as_exit, read_settings, workers


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    with error_as_exit():  # here, and not in its workers again and again
        settings = read_settings()
        check_urls(settings)
        processes = workers()
    uvicorn.run(
        # By its name, so that several processes can make it.
        "<<cookiecutter.package_name>>.app:create_app",
        factory=True,
        workers=processes,
        host=settings.listen_host,
        port=settings.listen_port,
        log_config=log_config(settings),
    )


if __name__ == "__main__":
    main()
