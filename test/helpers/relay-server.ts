/** The MCP door over stdio with the relay workflow behind it. Arguments: home, world URL, limits as JSON. */
import { readersOf } from '../../src/app.ts';
import { type Limits, limited, localConnection } from '../../src/mcp/connection.ts';
import { serveOverStdio } from '../../src/mcp/serve-stdio.ts';
import type { ServerDeps } from '../../src/mcp/server.ts';
import { createScrubber } from '../../src/scrub.ts';
import { brokenTool } from './broken-tool.ts';
import { openRelayDesk } from './desk.ts';

const [home = '', world = '', text = '{}'] = process.argv.slice(2);
const limits: Limits = JSON.parse(text);
const desk = await openRelayDesk(home, world);
desk.worker.start();

const scrubber = createScrubber();
const deps: ServerDeps = {
  app: async () => ({ engine: desk.engine, ...readersOf(desk, scrubber) }),
  guard: {
    scrub: scrubber.scrub,
    logError: (logId, error) => process.stderr.write(`${logId} ${error instanceof Error ? error.message : String(error)}\n`),
  },
  version: '0.0.0',
  tools: [brokenTool()],
};
const serving = serveOverStdio(deps, limited(localConnection, limits));
await serving.ended;
await desk.worker.stop(500);
desk.close();
process.exit(0);
