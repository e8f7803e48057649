# One image for every service; compose gives each its command.
FROM python:3.12-slim-bookworm AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/noctis \
 && /opt/noctis/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md ./
COPY noctis noctis
COPY broker broker
COPY ingestor ingestor
COPY inference inference
COPY companion companion
COPY drift drift
COPY evaluation evaluation
COPY training training
COPY registry registry
COPY api api
COPY runner runner
COPY cli cli
COPY migrations migrations
RUN /opt/noctis/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.12-slim-bookworm
RUN apt-get update \
 && apt-get install -y --no-install-recommends mosquitto \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /var/lib/noctis --create-home noctis \
 && install -d -o noctis /var/lib/noctis/keys /var/lib/noctis/models
COPY --from=build /opt/noctis /opt/noctis
ENV PATH=/opt/noctis/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1 \
    NOCTIS_VAR=/var/lib/noctis \
    NOCTIS_LOG_FORMAT=json
USER noctis
WORKDIR /var/lib/noctis
