# One image for every service; compose gives each its command.
FROM node:22-bookworm-slim AS page
WORKDIR /src
COPY scripts/page scripts/page
COPY api api
RUN CI=true scripts/page /tmp/page

FROM python:3.12-slim-bookworm AS build
WORKDIR /src
COPY requirements-image.lock ./
RUN python -m venv /opt/noctis \
 && /opt/noctis/bin/pip install --no-cache-dir --require-hashes -r requirements-image.lock
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
COPY --from=page /src/api/page/vendor api/page/vendor
RUN /opt/noctis/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.12-slim-bookworm
# The folders of volumes: a new volume takes its owner from here.
RUN apt-get update \
 && apt-get install -y --no-install-recommends mosquitto \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --system --gid 10001 noctis \
 && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/noctis noctis \
 && install -d -o noctis -g noctis -m 700 /var/lib/noctis \
      /var/lib/noctis/api /var/lib/noctis/broker /var/lib/noctis/firmware \
      /var/lib/noctis/firmware-keys /var/lib/noctis/keys /var/lib/noctis/models \
      /etc/noctis/ca /etc/noctis/certificates
COPY --from=build /opt/noctis /opt/noctis
ENV PATH=/opt/noctis/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OMP_NUM_THREADS=1 \
    NOCTIS_VAR=/var/lib/noctis \
    NOCTIS_LOG_FORMAT=json
USER 10001:10001
WORKDIR /var/lib/noctis
