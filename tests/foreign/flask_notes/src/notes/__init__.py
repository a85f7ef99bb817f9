import os

from flask import Flask

from . import db, views


def create_app(config=None):
    app = Flask(__name__)
    app.config["DATABASE_URL"] = os.environ.get(
        "NOTES_DATABASE_URL", "postgresql+psycopg2://localhost/notes"
    )
    app.config["PAGE_SIZE"] = int(os.environ.get("NOTES_PAGE_SIZE", "20"))
    if config:
        app.config.update(config)
    db.init_app(app)
    app.register_blueprint(views.bp)
    return app
