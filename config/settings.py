"""Every setting, once, with its unit. Each variable is mirrored in .env.example; a test compares the two."""

from pathlib import Path

import environ

from config import postgres, secret
from config.jobs import BEAT_SCHEDULE

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# --- where things are kept ------------------------------------------------------------------------

# Everything the product writes on this machine: the embedded database, the broker's files, mails, keys.
VITALS_HOME = Path(env.str("VITALS_HOME", default="") or BASE_DIR / "var" / "vitals").resolve()

# --- the web --------------------------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
# The address people open, used for the links in mails.
BASE_URL = env.str("BASE_URL", default="http://127.0.0.1:8000").rstrip("/")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# Generated once and kept in VITALS_HOME when it is not given.
SECRET_KEY = env.str("SECRET_KEY", default="") or secret.stored(VITALS_HOME / "secret_key")
# Set when a TLS proxy in front sends X-Forwarded-Proto: cookies become secure and HSTS is on.
BEHIND_TLS = env.bool("BEHIND_TLS", default=False)

INSTALLED_APPS = [
    "config",
    "projects",
    "ingest",
    "metrics",
    "budgets",
    "alerting",
    "dashboard",
    "rest_framework",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    # First, so that files, redirects and pages of an error have a policy, too.
    "dashboard.csp.ContentSecurityPolicyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "dashboard.hosts.HostMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    # Deny by default: a view is public only when it says so.
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
APPEND_SLASH = False  # A redirect would lose the body of a POST; every address is written one way.

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "dashboard.context.chrome",
            ],
        },
    },
]

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BEHIND_TLS
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_HSTS_SECONDS = 31_536_000 if BEHIND_TLS else 0
# Whoever comes without TLS is sent to it; the probes of a container ask the process itself.
SECURE_SSL_REDIRECT = BEHIND_TLS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
# Other hosts of the same domain, and the browsers' preload list, are for the owner of the domain to decide.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# There is nothing to upload here: a file in a form is read past, never written to disk.
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]

AUTHENTICATION_BACKENDS = ["projects.throttle.ThrottledBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

# --- static files: ours, and the browser libraries out of installed packages ----------------------

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static-built"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "dashboard.assets.PackageFinder",
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# The names without a hash are never asked for; compressing them as well would double the first start.
WHITENOISE_KEEP_ONLY_HASHED_FILES = True

# --- the database ---------------------------------------------------------------------------------

# The user's own PostgreSQL (>= 15); without it an embedded server under VITALS_HOME is used.
DATABASE_URL = env.str("DATABASE_URL", default="")
# Where the embedded server keeps its data; None: the disk of the user's own is not ours to look at.
EMBEDDED_POSTGRES = None if DATABASE_URL else VITALS_HOME / "postgres"
DATABASE_URL = DATABASE_URL or postgres.url(VITALS_HOME / "postgres")
# Milliseconds a statement may run: short for pages; the worker process sets a longer one for itself.
STATEMENT_TIMEOUT_MS = env.int("STATEMENT_TIMEOUT_MS", default=8_000)
DATABASES = {
    "default": {
        **env.db_url_config(DATABASE_URL),
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
    }
}
DATABASES["default"].setdefault("OPTIONS", {})["options"] = (
    f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c lock_timeout=2000"
    " -c idle_in_transaction_session_timeout=60000 -c timezone=UTC"
    # Compiling a statement takes longer than running it: those of a page are long and touch few rows.
    " -c jit=off"
)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Days each kind of record is kept, counted from the day of the call (UTC).
RETENTION_DAYS = {
    "request_body": env.int("RETENTION_BODY_DAYS", default=30),
    "request_log": env.int("RETENTION_CALL_DAYS", default=90),
    **dict.fromkeys(("facet_minute", "failure_minute"), env.int("RETENTION_MINUTE_DAYS", default=3)),
    **dict.fromkeys(
        ("facet_hour", "score_hour", "failure_hour", "failure_day"), env.int("RETENTION_HOUR_DAYS", default=396)
    ),
    "limit_minute": env.int("RETENTION_LIMIT_DAYS", default=8),
}

# --- periodic work --------------------------------------------------------------------------------

# redis://… when there is more than one host; without it the broker is a directory. It holds no truth either way.
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="") or "filesystem://"
CELERY_BEAT_SCHEDULE = BEAT_SCHEDULE

# A monitor elsewhere, asked every minute while all is well, so that it notices our death. Empty: nobody is asked.
HEARTBEAT_URL = env.str("HEARTBEAT_URL", default="")

# --- the provider ---------------------------------------------------------------------------------

# An admin key of the organisation: with it the worker reads the limits from the provider's Rate Limits API.
ANTHROPIC_ADMIN_KEY = env.str("ANTHROPIC_ADMIN_KEY", default="")
ANTHROPIC_API_URL = env.str("ANTHROPIC_API_URL", default="https://api.anthropic.com").rstrip("/")
# --- mails ----------------------------------------------------------------------------------------

# smtp://user:password@host:587, smtp+tls://…, smtp+ssl://…; without it mails are written to files in VITALS_HOME/mails.
EMAIL_URL = env.str("EMAIL_URL", default="")
if EMAIL_URL:
    vars().update(env.email_url_config(EMAIL_URL))
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = str(VITALS_HOME / "mails")
EMAIL_TIMEOUT = 10  # seconds
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default="LLM Vitals <vitals@localhost>")

# --- the rest -------------------------------------------------------------------------------------

# Shows the banner that says the data is made up, and the page with the mails written to files.
DEMO = env.bool("DEMO", default=False)

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False

REST_FRAMEWORK = {
    # Each API view names its own; nothing is open by omission.
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "config.log_lines.LineFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
    # PostgreSQL's error text can quote a row; ours log the code and the constraint only.
    "loggers": {"django.db.backends": {"level": "ERROR"}},
}
