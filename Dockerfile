# One image, several commands: web, worker, beat and migrate are the same files (docker-compose.yml).

FROM node:22-slim AS browser
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund

FROM python:3.13-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 VITALS_HOME=/data
WORKDIR /app
COPY requirements.lock .
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock
COPY --from=browser /build/node_modules node_modules
COPY manage.py ./
COPY llmclient llmclient
COPY config config
COPY projects projects
COPY ingest ingest
COPY metrics metrics
COPY budgets budgets
COPY alerting alerting
COPY dashboard dashboard
COPY templates templates
COPY static static
# Collecting needs settings, not a database; the key is for this step alone.
RUN SECRET_KEY=build DATABASE_URL=postgres://none@none/none VITALS_HOME=/tmp/build \
    python manage.py collectstatic --noinput \
    && useradd --system --no-create-home --uid 10001 vitals \
    && install -d -o vitals -g vitals -m 0700 /data
USER vitals
VOLUME /data
EXPOSE 8000
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "--workers", "1", \
     "--blocking-threads", "4", "--respawn-failed-workers", "--no-ws", "config.wsgi:application"]
