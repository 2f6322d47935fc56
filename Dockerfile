# The images of docker-compose.yml. `docker compose build --pull` fetches newer patches of what they start from.

# The Python and the Debian that .ci/run tests on.
ARG BASE=python:3.11-slim-bookworm

# On amd64 and arm64 the official image has the TimeSeries module, and its entrypoint loads it.
FROM redis:8.6 AS redis
# Modes are set here, for a clone made under a strict umask has files that nobody but its owner can read.
COPY --chmod=0444 redis.conf /usr/local/etc/redis/redis.conf
COPY --chmod=0555 start-redis.sh /usr/local/bin/start-redis
CMD ["start-redis", "/usr/local/etc/redis/redis.conf"]

# Prometheus publishes no tags of minor versions (prometheus/prometheus#10643); 3.5 is the one with long support.
FROM prom/prometheus:v3.5.0 AS prometheus
COPY --chmod=0555 deploy/prometheus /etc/prometheus

FROM grafana/grafana:12.3 AS grafana
COPY --chmod=0555 deploy/grafana /etc/grafana

FROM ${BASE} AS build
WORKDIR /build
RUN python -m venv --without-pip /opt/build && python -m venv --without-pip /opt/btcts
# Dependencies are pinned by hash and installed apart from src, so that a change there does not install them anew.
COPY requirements requirements
RUN pip --python /opt/build/bin/python install --no-cache-dir --require-hashes -r requirements/build.txt \
    && pip --python /opt/btcts/bin/python install --no-cache-dir --require-hashes -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip --python /opt/build/bin/python wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist . \
    && pip --python /opt/btcts/bin/python install --no-cache-dir --no-deps dist/*.whl \
    && pip --python /opt/btcts/bin/python check

FROM ${BASE}
LABEL org.opencontainers.image.title="btcts" \
      org.opencontainers.image.description="The recent Bitcoin price in Redis TimeSeries at four resolutions" \
      org.opencontainers.image.licenses="MIT"

# The base image carries its standard library uncompiled (docker-library/python#615), and a user without a writable
# root would compile it again for every command: 14 MB against that. Tests are left out: no command imports them, and
# those of Python itself are not all meant to compile.
RUN python -m compileall -q -x '/(site-packages|dist-packages|test|tests|idle_test)/' \
        "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && useradd --uid 10001 --no-log-init --no-create-home --home-dir /var/lib/btcts btcts \
    && install --directory --owner btcts --group btcts /var/lib/btcts
COPY --from=build /opt/btcts /opt/btcts

# The Redis is another container, never the embedded one. Unsent prices are kept in the data directory: mount a
# volume there, and a btcts.toml beside them is read.
ENV PATH=/opt/btcts/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    BTCTS_EMBEDDED=0 \
    BTCTS_DATA_DIR=/var/lib/btcts
WORKDIR /var/lib/btcts
USER 10001:10001
ENTRYPOINT ["btcts"]
CMD ["--help"]
