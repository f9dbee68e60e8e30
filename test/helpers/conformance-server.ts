/** Our HTTP server with the fixtures of the official conformance suite on it. Arguments: home. Prints its address. */
import { openApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { createLog } from '../../src/log.ts';
import { createAuthentication } from '../../src/mcp/http/authentication.ts';
import { serveOverHttp } from '../../src/mcp/serve-http.ts';
import { createScrubber } from '../../src/scrub.ts';
import { conformanceSurroundings } from './conformance-surroundings.ts';
import { conformanceTools } from './conformance-tools.ts';

const [home = ''] = process.argv.slice(2);
const scrubber = createScrubber();
const log = createLog({ level: 'warn', scrubber });
const app = await openApp({ config: { ...readConfig({}), home }, log, scrubber });
const serving = await serveOverHttp(
  {
    app: async () => app,
    guard: {
      scrub: scrubber.scrub,
      logError: (logId, error) => log.warn({ logId, error: error instanceof Error ? error.message : error }, 'refused'),
    },
    version: '0.0.0',
    tools: conformanceTools,
    extend: conformanceSurroundings,
    authentication: createAuthentication({
      find: app.tokens.find,
      anyToken: app.tokens.any,
      exposed: false,
      limits: {},
      now: Date.now,
    }),
    hosts: ['localhost', '127.0.0.1', '[::1]'],
    ready: async () => undefined,
    metrics: async () => '',
  },
  { host: '127.0.0.1', port: 0 },
);
process.stdout.write(`${serving.url}\n`);
process.once('SIGTERM', async () => {
  await serving.close(300);
  app.close();
  process.exit(0);
});
