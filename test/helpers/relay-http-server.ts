/** The MCP door over HTTP with the relay workflow behind it. Arguments: home, world URL, options as JSON. Prints its address. */
import { readersOf } from '../../src/app.ts';
import { systemClock } from '../../src/clock.ts';
import { audited } from '../../src/engine/audited.ts';
import { createLog } from '../../src/log.ts';
import type { Limits } from '../../src/mcp/connection.ts';
import { createAuthentication } from '../../src/mcp/http/authentication.ts';
import { createAccessVerifier, type ResourceServer } from '../../src/mcp/http/oauth.ts';
import { createRateGuard } from '../../src/mcp/rates.ts';
import { serveOverHttp } from '../../src/mcp/serve-http.ts';
import { createScrubber } from '../../src/scrub.ts';
import { brokenTool } from './broken-tool.ts';
import { openRelayDesk } from './desk.ts';

export type RelayHttpOptions = {
  sealedTags?: string[];
  exposed?: boolean;
  limits?: Limits;
  perMinute?: number;
  oauth?: ResourceServer;
  approvalTokens?: boolean;
};

const [home = '', world = '', text = '{}'] = process.argv.slice(2);
const { sealedTags, exposed = false, limits = {}, perMinute, oauth, approvalTokens = false }: RelayHttpOptions = JSON.parse(text);
const desk = await openRelayDesk(home, world, undefined, undefined, sealedTags, approvalTokens);
desk.worker.start();
const scrubber = createScrubber();
const log = createLog({ level: 'silent', scrubber });
const engine = audited({ engine: desk.engine, store: desk.store, clock: systemClock, log });
const app = { engine, ...readersOf(desk, scrubber) };
const serving = await serveOverHttp(
  {
    app: async () => app,
    guard: {
      scrub: scrubber.scrub,
      logError: (logId, error) => process.stderr.write(`${logId} ${error instanceof Error ? error.message : String(error)}\n`),
    },
    version: '0.0.0',
    approvalTokens,
    tools: [brokenTool()],
    rates: createRateGuard({ ...(perMinute === undefined ? {} : { perMinute }), shared: async () => desk.rates }),
    authentication: createAuthentication({
      find: desk.tokens.find,
      anyToken: desk.tokens.any,
      exposed,
      limits,
      now: Date.now,
      ...(oauth ? { verifyAccess: await createAccessVerifier(oauth) } : {}),
    }),
    ...(oauth ? { oauth } : {}),
    hosts: ['localhost', '127.0.0.1', '[::1]'],
    ready: async () => undefined,
    metrics: async () => 'capstan_runs 0\n',
  },
  { host: '127.0.0.1', port: 0 },
);
process.stdout.write(`${serving.url}\n`);
process.once('SIGTERM', async () => {
  await serving.close(300);
  await desk.worker.stop(500);
  desk.close();
  process.exit(0);
});
