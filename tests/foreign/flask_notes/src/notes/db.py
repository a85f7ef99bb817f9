from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, scoped_session, sessionmaker

Session = scoped_session(sessionmaker())


class Base(DeclarativeBase):
    pass


def init_app(app):
    engine = create_engine(app.config["DATABASE_URL"], pool_pre_ping=True)
    Session.remove()
    Session.configure(bind=engine)
    app.extensions["engine"] = engine

    @app.teardown_appcontext
    def remove_session(exception=None):
        Session.remove()
