/** The MCP door over stdio with the relay workflow behind it. Arguments: home, world URL. */
import { readersOf } from '../../src/app.ts';
import { AppError } from '../../src/errors.ts';
import { serveOverStdio } from '../../src/mcp/serve-stdio.ts';
import { defineTool } from '../../src/mcp/tool.ts';
import { toolsOf } from '../../src/mcp/toolset.ts';
import { createScrubber } from '../../src/scrub.ts';
import { openRelayDesk } from './desk.ts';

const [home = '', world = ''] = process.argv.slice(2);
const desk = await openRelayDesk(home, world);
desk.worker.start();

/** Extra tools, as tests of the wire need them: one that breaks in each way. */
const cancelDefinition = toolsOf().find((tool) => tool.definition.name === 'cancel_run')?.definition;
if (!cancelDefinition) throw new TypeError('no cancel_run among the core tools');
const broken = defineTool({ ...cancelDefinition, name: 'test_broken', output: { type: 'object' } }, async ({ run }) => {
  if (run === 'app-error') throw new AppError('TEST_REFUSED', { message: 'It was refused.', fix: 'Do not ask.', details: { of: run } });
  if (run === 'huge') return { runId: 'x', rows: Array.from({ length: 4_000 }, () => 'y'.repeat(100)) };
  if (run === 'hidden') return { text: 'a\u202eb\u0007c' };
  throw new Error('a secret thing broke');
});

const scrubber = createScrubber();
const serving = serveOverStdio({
  app: async () => ({ engine: desk.engine, ...readersOf(desk, scrubber) }),
  guard: {
    scrub: scrubber.scrub,
    logError: (logId, error) => process.stderr.write(`${logId} ${error instanceof Error ? error.message : String(error)}\n`),
  },
  version: '0.0.0',
  tools: [broken],
});
await serving.ended;
await desk.worker.stop(500);
desk.close();
process.exit(0);
