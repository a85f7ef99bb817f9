"""Serve, as the settings say: `python -m` this package."""

import uvicorn

from <<cookiecutter.package_name>>.app import create_app
from <<cookiecutter.package_name>>.logs import log_config
from <<cookiecutter.package_name>>.settings import read_settings


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    settings = read_settings()
    create_app(settings)  # a mistake ends this process here, and not its workers again and again
    uvicorn.run(
        # By its name, so that WEB_CONCURRENCY may ask for several workers.
        "<<cookiecutter.package_name>>.app:create_app",
        factory=True,
        host=settings.listen_host,
        port=settings.listen_port,
        log_config=log_config(settings),
    )


if __name__ == "__main__":
    main()
