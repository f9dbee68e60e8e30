/** Rolling a finished path back, crashed inside or not (engine.md B2, T2). */

import { describe } from '../engine/describe.ts';
import type { ContractLike } from '../engine/hands-port.ts';
import { AppError } from '../errors.ts';
import type { Kind } from './crash-kinds.ts';
import { differ, differencesOf, labels } from './judge.ts';
import { endOf } from './route.ts';
import { type Entry, type Expected, expectedOf, placeAt, plainContext, type Script, writes } from './script.ts';
import type { Theatre } from './theatre.ts';
import { rests, stateOf } from './walk.ts';

export type Back = {
  /** State that the run rests in, and the checkpoint to go to; 0 is the start. */
  from: string;
  to: number;
  name: string;
  /** Writes after the checkpoint that can be taken back. */
  undone: Entry[];
  /** A point of no return lies between: it must be refused and move nothing. */
  refused: boolean;
};

/** From the end of a path to the checkpoint before it, to the first one and to the start. */
export function rollbacksOf({ route, entries }: Script, contracts: Record<string, ContractLike>): Back[] {
  const versions = [1, ...route.steps.map((_, index) => index + 2)];
  const checkpoints = versions.flatMap((version) => {
    const place = placeAt(route, version);
    const name = place.step.snapshot.status === 'active' && rests(place) ? describe(place.step.snapshot).checkpoint : undefined;
    return name === undefined ? [] : [{ to: version, name }];
  });
  const end = endOf(route);
  const before = checkpoints.filter(({ to }) => to < versions.length).at(-1);
  const wanted = [before, checkpoints[0], { to: 0, name: 'start' }].filter((each) => each !== undefined);
  const different = wanted.filter((each, index) => wanted.findIndex(({ to }) => to === each.to) === index && each.to < versions.length);
  return different.map(({ to, name }) => {
    const after = [...entries.values()].filter((entry) => entry.seq > to && entry.answer !== 'hangs' && 'done' in entry.answer);
    const refused = after.some(({ contract }) => contracts[contract]?.pointOfNoReturn === true);
    return { from: stateOf(end), to, name, refused, undone: after.filter((entry) => writes(contracts, entry)) };
  });
}

const agent = { principal: 'tester', door: 'test' };

/** Plays the path, asks for the rollback with the crash armed, and compares with the checkpoint as the path knows it. */
export async function playRollback(
  theatre: Theatre,
  contracts: Record<string, ContractLike>,
  name: string,
  script: Script,
  back: Back,
  kind: Kind | undefined,
  entry: Entry | undefined,
): Promise<string[]> {
  const { world } = theatre.scene.stage;
  const runId = await theatre.play(name, script, {});
  const hits = { count: 0 };
  const target = entry ?? nobody;
  if (kind) theatre.trouble(kind.arm(theatre.scene, target, (times = 1) => ++hits.count <= times));
  const request = { run: runId, to: back.to, requestKey: `${name} back` };
  if (back.refused) return refusedDifferences(theatre, contracts, script, runId, request);
  await theatre.ask((engine) => engine.rollback(request, agent));
  await theatre.waitFor(
    runId,
    'the end of the rollback',
    ({ run }) => run.phase !== 'rolling_back' && run.version > script.route.steps.length + 1,
  );
  const seen = await theatre.look(runId);
  const preview = await theatre.preview(runId, back.to);
  const { undone } = world.ofRun(runId);
  const leftTimers = seen.timers
    .map(({ timerId }) => timerId)
    .sort()
    .join();
  const timers = back.to === 0 ? '' : [...placeAt(script.route, back.to).timers.keys()].sort().join();
  const found = [
    ...(kind && hits.count === 0 ? ['the moment was never reached'] : []),
    ...differencesOf(seen, world, expectedAfter(script, contracts, back)),
    ...differ(
      'what was taken back',
      labels([...undone.keys()], runId),
      back.undone
        .map(({ label }) => label)
        .sort()
        .join(' '),
    ),
    ...differ('the list of what is to undo', preview.join(' '), ''),
    ...differ('what is armed', leftTimers, timers),
  ];
  await theatre.retire(runId);
  return found;
}

async function refusedDifferences(
  theatre: Theatre,
  contracts: Record<string, ContractLike>,
  script: Script,
  runId: string,
  request: { run: string; to: number; requestKey: string },
): Promise<string[]> {
  const refusal = await theatre
    .ask((engine) => engine.rollback(request, agent))
    .then(
      () => 'nothing',
      (error: unknown) => (error instanceof AppError ? error.code : String(error)),
    );
  const found = differencesOf(await theatre.look(runId), theatre.scene.stage.world, expectedOf(script, contracts));
  await theatre.retire(runId);
  return [...differ('the refusal', refusal, 'POINT_OF_NO_RETURN'), ...found];
}

function expectedAfter(script: Script, contracts: Record<string, ContractLike>, back: Back): Expected {
  const before = expectedOf(script, contracts);
  const gone = new Set(back.undone.map(({ label }) => label));
  const common = {
    events: [...before.events, 'capstan.rollback_requested', 'capstan.rolled_back'],
    standing: before.standing.filter((label) => !gone.has(label)),
  };
  if (back.to === 0) return { ...before, ...common, state: 'cancelled', phase: 'cancelled' };
  const place = placeAt(script.route, back.to);
  return { ...common, state: stateOf(place), phase: 'active', context: plainContext(place.step.snapshot.context) };
}

/** For crashes that belong to no effect. */
const nobody: Entry = { label: 'none', seq: 0, invokeId: 'none', contract: 'none', answer: 'hangs', at: 0, step: undefined };
