# placid_kedro on a CPU, with the embedded models: docker build -t placid_kedro .
# pip's default wheels of torch for Linux bring CUDA. For a small image give the address of PyTorch's CPU wheels:
# docker build --build-arg PIP_EXTRA_INDEX_URL=... --build-arg TORCH=torch==2.13.0+cpu -t placid_kedro .
FROM python:3.11-slim-bookworm

ARG PIP_EXTRA_INDEX_URL=""
ARG TORCH="torch==2.13.0"

RUN useradd --create-home --uid 1000 placid
WORKDIR /app
COPY requirements.lock pyproject.toml README.md LICENSE .telemetry ./
COPY src ./src
RUN pip install --no-cache-dir "$TORCH" \
    && pip install --no-cache-dir --constraint requirements.lock . \
    && mkdir data logs \
    && chown placid:placid /app data logs
COPY conf ./conf
COPY models ./models
USER placid
ENV GOMP_SPINCOUNT=0
ENTRYPOINT ["kedro", "run"]
