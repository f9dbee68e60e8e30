/**
 * A relay desk in a process of its own, steered over standard input: one JSON command per line, one JSON answer per line.
 * Arguments: home, world URL, `work` or `rest` (whether its worker starts). The first line is `{ ok }` or how opening was refused.
 */
import { createInterface } from 'node:readline';
import type { Desk } from '../../src/desk.ts';
import { AppError } from '../../src/errors.ts';
import { openRelayDesk } from './desk.ts';
import { dieAt } from './kill-points.ts';

export type Command = { do: 'start'; name: string } | { do: 'go' | 'show' | 'wait' | 'effects' | 'rollback'; run: string } | { do: 'stop' };
export type Answer = { ok: Record<string, unknown> } | { refused: { code: string; message: string; fix: string } };

const [home = '', world = '', mode = 'rest', point, effect] = process.argv.slice(2);
const me = { principal: 'steered', door: 'test' };
const person = { principal: 'person', level: 'terminal' as const, door: 'test' };
const tell = (answer: Answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

async function answered(work: () => Promise<Record<string, unknown>>): Promise<boolean> {
  try {
    tell({ ok: await work() });
    return true;
  } catch (error) {
    const { code, message, fix } = error instanceof AppError ? error : { code: 'no AppError', message: String(error), fix: undefined };
    tell({ refused: { code, message, fix: fix ?? '' } });
    return false;
  }
}

async function obey({ engine, store }: Desk, command: Command): Promise<Record<string, unknown>> {
  switch (command.do) {
    case 'start':
      return engine.start({ workflow: 'relay', name: command.name, requestKey: command.name }, me);
    case 'go':
      return engine.advance({ run: command.run, event: 'go' }, me);
    case 'show':
      return engine.inspect(command.run);
    case 'wait':
      return engine.waitFor(command.run, { waitMs: 20_000 });
    case 'effects': {
      const { runId } = await engine.inspect(command.run);
      return { rows: await store.effects(runId) };
    }
    case 'rollback': {
      await engine.rollback({ run: command.run, to: 'asking' }, me).catch(() => undefined); // it asks for approval
      await engine.approve((await engine.pendingApprovals(command.run)).at(-1)?.id ?? '', person);
      return engine.waitFor(command.run, { waitMs: 20_000 });
    }
    case 'stop':
      return {};
    default:
      return command satisfies never;
  }
}

let desk: Desk | undefined;
const opened = await answered(async () => {
  desk = await openRelayDesk(home, world, dieAt(point, effect));
  if (mode === 'work') desk.worker.start();
  return { worker: mode };
});
if (!opened || !desk) process.exit(0);
for await (const line of createInterface({ input: process.stdin })) {
  const command: Command = JSON.parse(line); // written by steer.ts in this shape
  const here = desk;
  await answered(() => obey(here, command));
  if (command.do === 'stop') break;
}
await desk.worker.stop(1_500);
desk.close();
process.exit(0);
