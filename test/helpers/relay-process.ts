/** A real process with a relay desk. Arguments: home, world URL, kill point, effect. Kills itself with SIGKILL at the named point, by a broken port. */
import type { Change, Store } from '../../src/engine/ports.ts';
import { AppError } from '../../src/errors.ts';
import { openRelayDesk } from './desk.ts';

const [home = '', world = '', point = 'none', target = '', mode = 'drive'] = process.argv.slice(2);

const die = (): never => {
  process.kill(process.pid, 'SIGKILL');
  throw new Error('not reached');
};
const opens = (change: Change) => change.open?.some((row) => row.invokeId === target) ?? false;
const closes = (change: Change) => (change.close?.key.endsWith(`:${target}`) && !change.close.key.startsWith('undo:')) ?? false;
const closesUndo = (change: Change) => (change.close?.key.startsWith('undo:') && change.close.key.endsWith(`:${target}`)) ?? false;

function breaking(store: Store): Store {
  return {
    ...store,
    async commit(change) {
      if (point === 'before-intent' && opens(change)) die();
      if (point === 'after-run' && closes(change)) die();
      if (point === 'after-undo' && closesUndo(change)) die();
      const answer = await store.commit(change);
      if (point === 'after-intent' && opens(change)) die();
      if (point === 'after-outcome' && closes(change)) die();
      return answer;
    },
    async launch(key, token, at, options) {
      const hit = key.endsWith(`:${target}`) && (point.includes('undo') ? key.startsWith('undo:') : !key.startsWith('undo:'));
      if (point === 'before-launch' && hit) die();
      const answer = await store.launch(key, token, at, options);
      if ((point === 'after-launch' || point === 'before-undo') && hit) die();
      return answer;
    },
  };
}

let refusal: string | undefined;
const codeOf = (error: unknown): string => {
  if (error instanceof AppError && error.retry === 'never') return error.code;
  throw error;
};
const me = { principal: 'tester', door: 'test' };
const desk = await openRelayDesk(home, world, breaking);
desk.worker.start();
if (mode === 'drive') {
  const { runId } = await desk.engine.start({ workflow: 'relay', name: 'killed', requestKey: 'start' }, me);
  const view = await desk.engine.inspect(runId);
  // Of several processes one wins; the others get RUN_MOVED or EVENT_NOT_ACCEPTED as an answer and look on.
  if (view.state === 'asking') {
    try {
      await desk.engine.advance({ run: runId, event: 'go' }, me);
    } catch (error) {
      refusal = codeOf(error);
    }
  }
}
if (mode === 'rollback') {
  const view = await desk.engine.inspect('killed');
  if (view.status === 'waiting' && view.state === 'resting') {
    await desk.engine.rollback({ run: 'killed', to: 'asking' }, me).catch(() => undefined);
    const [asked] = await desk.engine.pendingApprovals('killed');
    await desk.engine.approve(asked?.id ?? '', { principal: 'person', level: 'terminal', door: 'test' });
  }
}
const view = await desk.engine.waitFor('killed', { waitMs: 20_000 });
process.stdout.write(`${JSON.stringify({ state: view.state, status: view.status, ids: view.details['ids'], refusal })}\n`);
await desk.worker.stop(1_500);
desk.close();
process.exit(0);
