# The Python and the Debian that .ci/run tests on.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
WORKDIR /build
RUN python -m venv --without-pip /opt/btcts
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir dist . \
    && pip --python /opt/btcts/bin/python install --no-cache-dir dist/*.whl

FROM ${BASE}
LABEL org.opencontainers.image.title="btcts" \
      org.opencontainers.image.description="The recent Bitcoin price in Redis TimeSeries at four resolutions" \
      org.opencontainers.image.licenses="MIT"

# The base image carries its standard library uncompiled (docker-library/python#615), and a user without a writable
# root would compile it again for every command: 14 MB against that.
RUN python -m compileall -q -x site-packages "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
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
