# The command `gnnsched` without extras, as a user without rights.
#
#     docker build --tag gnnsched .
#     docker run --rm --read-only --tmpfs /tmp --volume gnnsched-cache:/var/cache/gnnsched gnnsched demo
#
# The root file system may be read-only. /var/cache/gnnsched ($GNNSCHED_CACHE) keeps compiled kernels, tables and trained
# predictors; without a volume there, kernels go to /tmp, and without that they are compiled by each process, with a
# warning. Mount a folder on /work to read and write files of your own.
FROM python:3.13-slim

RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
  && useradd --uid 1000 --create-home gnnsched \
  && install --directory --owner gnnsched --mode 700 /var/cache/gnnsched \
  && install --directory --owner gnnsched /work

COPY pyproject.toml README.md LICENSE constraints.txt /source/
COPY gnnsched_env /source/gnnsched_env
COPY baselines /source/baselines
COPY agents /source/agents
COPY scripts /source/scripts
RUN pip install --no-cache-dir /source --constraint /source/constraints.txt && rm -rf /source

ENV GNNSCHED_CACHE=/var/cache/gnnsched PYTHONDONTWRITEBYTECODE=1
VOLUME /var/cache/gnnsched
USER gnnsched
WORKDIR /work
ENTRYPOINT ["gnnsched"]
CMD ["--help"]
