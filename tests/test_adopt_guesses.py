"""What adopting reads from code and configuration: it is right, or it is named."""

from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

from harness.baking import TEMPLATE

NO_APP: Final = "say in `load_app` where the application is"
NO_VARIABLE: Final = (
    "say in URL_VARIABLE which variable has the URL of the database; or in `environment`, which "
    "have its parts"
)
NO_HEALTH: Final = "say in HEALTH which path answers when the service is ready"
GUESSES: Final = {
    "settings with a prefix": (
        """class S(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SHOP_")
    database_url: PostgresDsn
""",
        {"variable": "SHOP_DATABASE_URL"},
    ),
    "a variable on a line of its own": (
        'URL = os.environ.get(\n    "SQLALCHEMY_DATABASE_URI", "sqlite://"\n)\n',
        {"variable": "SQLALCHEMY_DATABASE_URI"},
    ),
    "variables for the parts of a URL": (
        'URL = make(os.environ["DB_HOST"], os.environ["DB_NAME"])\n',
        {
            "variable": "TESTDB_MAIN_URL",
            "parts": {"host": "DB_HOST", "database": "DB_NAME"},
        },
    ),
    "settings for the parts of a URL": (
        """class S(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SHOP_")
    db_password: SecretStr
    db_name: str
""",
        {"parts": {"database": "SHOP_DB_NAME", "password": "SHOP_DB_PASSWORD"}},
    ),
    "no variable for a URL": (
        "URL = read_file()\n",
        {"not_found": NO_VARIABLE},
    ),
    "a factory": (
        "def create_app(config=None):\n    return Flask()\n",
        {"factory": ("app.code", "create_app")},
    ),
    "a factory that needs an argument": (
        "def create_app(config):\n    return FastAPI()\n",
        {"factory": None, "not_found": NO_APP},
    ),
    "an annotated engine": (
        "db: Engine = sqlalchemy.create_engine(URL)\n",
        {"engine": ("app.code", "db"), "is_async": False},
    ),
    "an async engine": ("engine = create_async_engine(URL)\n", {"is_async": True}),
    "a maker of sessions": ("New = sessionmaker()\n", {"maker": ("app.code", "New")}),
    "Flask-SQLAlchemy": ("db = SQLAlchemy()\n", {"extension": ("app.code", "db")}),
    "a path to ask": ('@app.route("/healthz")\ndef f(): ...\n', {"health": "/healthz"}),
    "a package in a namespace": (
        {"--package": "acme.billing", "src/acme/billing/main.py": "app = FastAPI()\n"},
        {
            "app": ("acme.billing.main", "app"),
            "package": "src/acme/billing",
            "pythonpath": ". src",
        },
    ),
    "a package that is named by its folder": (
        {"--package": "backend/app", "backend/app/main.py": "app = FastAPI()\n"},
        {"app": ("app.main", "app"), "package": "backend/app", "pythonpath": ". backend"},
    ),
    "a folder that is no module": (
        {"order-desk/main.py": "app = Flask()\n"},
        {"app": None, "not_found": NO_APP},
    ),
    "a file that is no module": (
        {"app/main-api.py": "app = FastAPI()\n", "app/main.v2.py": "app = FastAPI()\n"},
        {"app": None, "not_found": NO_APP},
    ),
    "migrations in a package": (
        {
            "src/orders/db/migrations/env.py": "",
            "src/orders/main.py": "",
            "alembic.ini": "[alembic]\nscript_location = orders.db:migrations\n",
        },
        {
            "migrations": "src/orders/db/migrations",
            "versions": "src/orders/db/migrations/versions",
            "nothing_of": "MIGRATIONS",
        },
    ),
    "migrations beside alembic.ini": (
        {
            "app/code.py": "",
            "backend/migrations/env.py": "",
            "backend/alembic.ini": "[alembic]\nscript_location = migrations\n",
        },
        {"migrations": "backend/migrations", "nothing_of": "MIGRATIONS"},
    ),
    "migrations that pyproject.toml names beside alembic.ini": (
        {
            "app/__init__.py": "",
            "db/env.py": "",
            "alembic.ini": "[alembic]\nsqlalchemy.url = driver://\n",
            "pyproject.toml": '[tool.alembic]\nscript_location = "%(here)s/db"\n',
        },
        {
            "migrations": "db",
            "alembic_ini": "alembic.ini",
            "has_toml": True,
            "nothing_of": "MIGRATIONS",
        },
    ),
    "migrations that pyproject.toml names alone": (
        {
            "app/__init__.py": "",
            "db/env.py": "",
            "pyproject.toml": '[tool.alembic]\nscript_location = "db"\n'
            'version_locations = ["%(here)s/db/revisions"]\n',
        },
        {"migrations": "db", "versions": "db/revisions", "alembic_ini": "pyproject.toml"},
    ),
    "migrations that nothing names": (
        {"app/code.py": "", "alembic.ini": "[alembic]\n"},
        {"migrations": "alembic", "not_found": "say in MIGRATIONS where env.py is"},
    ),
    "versions that lie elsewhere": (
        {
            "app/code.py": "",
            "alembic/env.py": "",
            "alembic.ini": """[alembic]
script_location = alembic
version_locations = app:one:two
path_separator = newline
""",
        },
        {"migrations": "alembic", "versions": "app/one/two", "nothing_of": "VERSIONS"},
    ),
    "versions of another project": (
        {"app/code.py": "", "alembic.ini": "[alembic]\nversion_locations = /elsewhere\n"},
        {"not_found": "say in VERSIONS where the migrations are"},
    ),
    "migrations that are not there": (
        {"app/code.py": "", "alembic.ini": "[alembic]\nscript_location = db\n"},
        {"migrations": "db", "not_found": "say in MIGRATIONS where env.py is"},
    ),
    "two files of Alembic": (
        {"app/code.py": "", "a/alembic.ini": "", "b/alembic.ini": ""},
        {"not_found": "see ALEMBIC_INI: found were a/alembic.ini, b/alembic.ini"},
    ),
    "a prefix of other settings": (
        """class R(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="REDIS_")
    host: str
class S(BaseSettings):
    database_url: PostgresDsn
""",
        {"variable": "DATABASE_URL", "nothing_of": "URL_VARIABLE"},
    ),
    "a prefix that settings inherit": (
        """class Base(BaseSettings):
    model_config = {"env_prefix": "SHOP_"}
class S(Base):
    database_url: str
""",
        {"variable": "SHOP_DATABASE_URL", "nothing_of": "URL_VARIABLE"},
    ),
    "a prefix that the code works out": (
        """class S(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=NAME)
    database_url: str
""",
        {"not_found": NO_VARIABLE},
    ),
    "a setting with an alias": (
        """class S(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SHOP_")
    database_url: str = Field(alias="OTHER", validation_alias="APP_PG")
""",
        {"variable": "APP_PG", "nothing_of": "URL_VARIABLE"},
    ),
    "settings that tell cases apart": (
        "class S(BaseSettings, case_sensitive=True):\n    database_url: str\n",
        {"variable": "database_url"},
    ),
    "variables of other servers": (
        """os.environ["MONGODB_URL"] + os.environ["REDIS_DB_URL"] + os.environ["SHOP_DB_URL"]
os.environ["UPGRADE_URL"] + os.environ["FEEDBACK_URL"] + app.config["DATABASE_URL"]
""",
        {"variable": "SHOP_DB_URL", "nothing_of": "URL_VARIABLE"},
    ),
    "the name of another server's database": (
        'os.environ["MONGO_DB_NAME"]\n',
        {"parts": {}, "not_found": NO_VARIABLE},
    ),
    "several variables": (
        'os.getenv("DATABASE_URL") or os.getenv("REPLICA_DATABASE_URL")\n',
        {
            "variable": "DATABASE_URL",
            "not_found": "see URL_VARIABLE: found were DATABASE_URL, REPLICA_DATABASE_URL",
        },
    ),
    "an application below another": (
        'app = FastAPI()\napi = FastAPI()\napp.mount("/api", api)\n',
        {"app": ("app.code", "app"), "nothing_of": "load_app"},
    ),
    "an application of a module below another": (
        'app = FastAPI()\napp.mount("/admin", admin.app)\n',
        {"app": ("app.code", "app"), "nothing_of": "load_app"},
    ),
    "several applications": (
        "web = FastAPI()\nadmin = FastAPI()\n",
        {
            "app": ("app.code", "web"),
            "not_found": "see `load_app`: found were app.code.web, app.code.admin",
        },
    ),
    "an application of tests": (
        {
            "app/conftest.py": "app = FastAPI()\nengine = create_engine()\n",
            "app/tests/support.py": "app = FastAPI()\nSession = sessionmaker()\n",
            "app/web/main.py": "app = FastAPI()\n",
        },
        {"app": ("app.web.main", "app"), "engine": None, "maker": None},
    ),
    "an application of a framework that testdb has no client for": (
        "app = Quart(__name__)\n",
        {"app": None, "not_found": NO_APP},
    ),
    "sessions that are async, and others": (
        """engine = create_async_engine(URL)
new = async_sessionmaker[AsyncSession](engine)
sync_engine = create_engine(URL)
sync_new = sessionmaker(sync_engine)
""",
        {"maker": ("app.code", "new"), "engine": None, "is_async": True, "nothing_of": "session"},
    ),
    "an async engine beside a maker that is not": (
        "engine = create_async_engine(URL)\nJobs = sessionmaker(create_engine(URL))\n",
        {"maker": None, "engine": ("app.code", "engine"), "is_async": True},
    ),
    "a maker of async sessions, by their class": (
        "New = sessionmaker(create_async_engine(URL), class_=AsyncSession)\n",
        {"maker": ("app.code", "New"), "is_async": True},
    ),
    "sessions that are not async where a word is": (
        "engine = create_engine(URL)\n# not create_async_engine\n",
        {"engine": ("app.code", "engine"), "is_async": False},
    ),
    "several makers": (
        "New = sessionmaker(one)\nOther = sessionmaker(two)\n",
        {"not_found": "see `session`: found were app.code.New, app.code.Other"},
    ),
    "paths that look like one to ask": (
        """app = Flask()
@app.get("/deliveries")
@app.get("/shipping")
def f(): ...
""",
        {"not_found": NO_HEALTH, "health": "/"},
    ),
    "a path of another server": (
        'app = Flask()\nhttpx.get("/health")\n',
        {"not_found": NO_HEALTH},
    ),
    "a path that Starlette lists": (
        'app = Starlette(routes=[Route("/healthz", healthz)])\n',
        {"health": "/healthz", "nothing_of": "HEALTH"},
    ),
    "a path in a factory": (
        """def create_app():
    app = Flask()
    app.register_blueprint(bp, url_prefix="/api")
    @app.route("/ready/")
    def f(): ...
""",
        {"health": "/ready/"},
    ),
    "a path below a prefix": (
        """bp = Blueprint("x")
@bp.route("/healthz")
def f(): ...
app = Flask()
app.register_blueprint(bp, url_prefix="/api")
""",
        {"not_found": NO_HEALTH, "health": "/"},
    ),
    "a path of an application below another": (
        """app = Starlette()
api = FastAPI()
app.mount("/api", api)
@api.get("/health")
def f(): ...
""",
        {"not_found": NO_HEALTH},
    ),
    "a path of an application below another, in a factory": (
        """def create_app():
    app = FastAPI()
    api = FastAPI()
    @api.get("/health")
    def f(): ...
    app.mount("/api", api)
""",
        {"health": "/openapi.json"},
    ),
    "a path of another application": (
        {
            "app/admin.py": 'admin = FastAPI()\n@admin.get("/ping")\ndef f(): ...\n',
            "app/main.py": "app = FastAPI()\n",
        },
        {"app": ("app.main", "app"), "health": "/openapi.json"},
    ),
    "a description of the API": (
        "app = FastAPI(docs_url=None)\n",
        {"health": "/openapi.json", "nothing_of": "HEALTH"},
    ),
    "no description of the API": (
        "app = FastAPI(openapi_url=None)\n",
        {"not_found": NO_HEALTH},
    ),
    "options of the API that the code works out": (
        "app = FastAPI(**options)\n",
        {"not_found": NO_HEALTH},
    ),
    "no API": ("app = Starlette()\n", {"not_found": NO_HEALTH}),
    "a group for tests of what is built": (
        {
            "app/code.py": "",
            "pyproject.toml": """[build-system]
[project.optional-dependencies]
test = []
[dependency-groups]
lint = []
dev = []
""",
        },
        {
            "install": [
                '"--editable=.[test]"',
                '*nox.project.dependency_groups(PYPROJECT, "dev")',
            ]
        },
    ),
    "an extra of what is not built": (
        {"app/code.py": "", "pyproject.toml": "[project.optional-dependencies]\ndev = []\n"},
        {
            "install": [
                '*PYPROJECT["project"].get("dependencies", [])',
                '*PYPROJECT["project"]["optional-dependencies"]["dev"]',
            ]
        },
    ),
    "groups of Poetry, and its name": (
        {
            "app/code.py": "",
            "pyproject.toml": """[build-system]
[tool.poetry]
name = "Invoicing"
[tool.poetry.group.dev.dependencies]
pytest = "*"
""",
        },
        {
            "slug": "invoicing",
            "install": ['"--editable=."'],
            "not_installed": "To REQUIREMENTS in noxfile.py, add what your tests need: it does not "
            "read tool.poetry.group",
        },
    ),
    "nothing to install": (
        "",
        {"not_installed": "To REQUIREMENTS in noxfile.py, add what the service needs"},
    ),
}
"""The code of app/code.py, or of several files; and what is made of it: `not_found` has that line,
and no line that has the words in `nothing_of`.
"""


@pytest.mark.parametrize("guess", GUESSES)
def test_a_guess(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guess: str) -> None:
    monkeypatch.syspath_prepend(TEMPLATE / "adopt")
    code, expected = GUESSES[guess]
    files = {"app/code.py": code} if isinstance(code, str) else dict(code)
    package = files.pop("--package", None)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    guessed = vars(import_module("guess").guess(tmp_path, package))
    for name, value in expected.items():
        if name == "not_found":
            assert value in guessed[name]
        elif name == "nothing_of":
            assert not [line for line in guessed["not_found"] if value in line]
        else:
            assert value == guessed[name]
