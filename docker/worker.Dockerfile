# The worker in a container: docker build -f docker/worker.Dockerfile -t capstan-worker .
FROM node:24-slim AS build
WORKDIR /build
COPY package.json package-lock.json tsconfig.json README.md ./
COPY scripts scripts
COPY machines machines
COPY src src
RUN npm ci && npm run build && npm prune --omit=dev

FROM node:24-slim
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
