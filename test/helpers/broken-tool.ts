import { AppError } from '../../src/errors.ts';
import { defineTool, type Tool } from '../../src/mcp/tool.ts';
import { toolsOf } from '../../src/mcp/toolset.ts';

/** A tool as tests of the wire need it: it breaks in each way, by the name of the run. */
export function brokenTool(): Tool {
  const cancel = toolsOf().find((tool) => tool.definition.name === 'cancel_run')?.definition;
  if (!cancel) throw new TypeError('no cancel_run among the core tools');
  return defineTool({ ...cancel, name: 'test_broken', output: { type: 'object' } }, async ({ run }) => {
    if (run === 'app-error') throw new AppError('TEST_REFUSED', { message: 'It was refused.', fix: 'Do not ask.', details: { of: run } });
    if (run === 'huge') return { runId: 'x', rows: Array.from({ length: 4_000 }, () => 'y'.repeat(100)) };
    if (run === 'vast') return { runId: 'x', details: { rows: Array.from({ length: 6_000 }, () => 'z'.repeat(100)), small: 'kept' } };
    if (run === 'hidden') return { text: 'a\u202eb\u0007c' };
    throw new Error('a secret thing broke');
  });
}
