# The worker in a container: docker build -f docker/worker.Dockerfile -t capstan-worker .
FROM node:24-slim AS build
WORKDIR /build
COPY package.json package-lock.json tsconfig.json README.md ./
COPY scripts scripts
COPY machines machines
COPY src src
RUN npm ci && npm run build && npm prune --omit=dev

FROM node:24-slim
# pg_dump and pg_restore of every major that a target may run: Debian carries one, the packages of the Postgres project all.
ADD --chmod=644 https://www.postgresql.org/media/keys/ACCC4CF8.asc /usr/share/keyrings/postgresql.asc
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates \
  && . /etc/os-release \
  && echo "deb [signed-by=/usr/share/keyrings/postgresql.asc] https://apt.postgresql.org/pub/repos/apt $VERSION_CODENAME-pgdg main" > /etc/apt/sources.list.d/postgresql.list \
  && apt-get update \
  && apt-get install -y --no-install-recommends postgresql-client-15 postgresql-client-16 postgresql-client-17 postgresql-client-18 \
  && rm -rf /var/lib/apt/lists/*
ENV NODE_ENV=production CAPSTAN_HOME=/var/lib/capstan
WORKDIR /opt/capstan
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY --from=build /build/src/store/sqlite/migrations src/store/sqlite/migrations
RUN install -d -m 0700 -o node -g node /var/lib/capstan
USER node
VOLUME /var/lib/capstan
# Healthy means that a process works on this home, this one.
HEALTHCHECK --interval=30s --timeout=10s CMD node dist/src/main.js status --metrics | grep -q '^capstan_workers [1-9]'
ENTRYPOINT ["node", "/opt/capstan/dist/src/main.js"]
CMD ["worker"]
