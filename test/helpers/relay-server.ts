/** The MCP door over stdio with the relay workflow behind it. Arguments: home, world URL. */
import { readersOf } from '../../src/app.ts';
import { serveOverStdio } from '../../src/mcp/serve-stdio.ts';
import { createScrubber } from '../../src/scrub.ts';
import { brokenTool } from './broken-tool.ts';
import { openRelayDesk } from './desk.ts';

const [home = '', world = ''] = process.argv.slice(2);
const desk = await openRelayDesk(home, world);
desk.worker.start();

const scrubber = createScrubber();
const serving = serveOverStdio({
  app: async () => ({ engine: desk.engine, ...readersOf(desk, scrubber) }),
  guard: {
    scrub: scrubber.scrub,
    logError: (logId, error) => process.stderr.write(`${logId} ${error instanceof Error ? error.message : String(error)}\n`),
  },
  version: '0.0.0',
  tools: [brokenTool()],
});
await serving.ended;
await desk.worker.stop(500);
desk.close();
process.exit(0);
