/** Plays one run along a script on a stage, as the persons and the outside world that the script tells of. */

import type { Answer, Engine } from '../engine/engine.ts';
import type { ContractLike } from '../engine/hands-port.ts';
import type { EffectRow, EventRow, RunRow } from '../engine/ports.ts';
import type { WorkflowLike } from '../engine/registration.ts';
import { AppError, toRecord } from '../errors.ts';
import { type Entry, placeAt, type Script, secretFields, writes } from './script.ts';
import { createStage, type Damage, type HandCall, type Hooks, type Stage } from './stage.ts';

/** What a crash kind changes while a run is played. */
export type Trouble = Partial<Hooks> & {
  /** The effect that needs a person, who looks and says: try again (B6). */
  person?: boolean;
};

export type Scene = {
  stage: Stage;
  contracts: Record<string, ContractLike>;
  /** When a request whose sender has died still lands: within the time that the other side is given to settle (E3). */
  lateMs: number;
  /** True for the key of this entry in the run that is played now. */
  isKey(key: string, label: string): boolean;
  /** What the world answers when nothing is wrong. */
  plain(call: HandCall): Promise<unknown>;
};

export type Theatre = {
  scene: Scene;
  /** Starts a run and leads it to the end of the script; answers its id. Throws when it gets stuck. */
  play(name: string, script: Script, trouble: Trouble): Promise<string>;
  /** One call of the engine by a person, repeated by request key until some process has answered it. */
  ask(call: (engine: Engine) => Promise<Answer>): Promise<Answer>;
  /** Lets it go on until the condition on the run holds. Throws when it gets stuck. */
  waitFor(runId: string, what: string, condition: (seen: Glance) => boolean): Promise<void>;
  look(runId: string): Promise<Seen>;
  /** Keys that a rollback to this checkpoint would still take back. */
  preview(runId: string, to: number): Promise<string[]>;
  trouble(trouble: Trouble): void;
  /** Ends a judged run, so that it holds nothing that a later one wants (E10). */
  retire(runId: string): Promise<void>;
  close(): void;
};

export type Glance = { run: RunRow; open: EffectRow[]; timers: { timerId: string; dueAt: number }[] };
export type Seen = Glance & { effects: EffectRow[]; events: EventRow[] };

/** Store methods after which a run may look different. */
const writing = new Set(['commit', 'release', 'takeOver', 'resolveEffect', 'claimDue', 'launch']);

const agent = { principal: 'tester', door: 'test' };
const person = { principal: 'person', level: 'terminal', door: 'test' } as const;

export function createTheatre(options: {
  home: string;
  workflow: WorkflowLike;
  contracts: Record<string, ContractLike>;
  lateMs: number;
  damage?: Damage;
}): Theatre {
  const { workflow, contracts } = options;
  const scripts = new Map<string, Script>();
  const versions = new Map<string, number>();
  const listeners = new Set<() => void>();
  let written = 0;
  let active: { script: Script; trouble: Trouble } | undefined;

  const scriptOf = (runId: string): Script | undefined => scripts.get(runId) ?? active?.script;
  const isActive = (runId: string): boolean => scriptOf(runId) === active?.script;

  const stage = createStage({ ...options, hands: (call) => handOf(call) });
  const scene: Scene = {
    stage,
    contracts,
    lateMs: options.lateMs,
    isKey: (key, label) => key.endsWith(`:${label}`) && isActive(key.slice(key.startsWith('undo:') ? 5 : 0, -label.length - 1)),
    plain: (call) => plainAnswer(call),
  };

  const handOf = (call: HandCall): Promise<unknown> =>
    (isActive(call.site.runId) ? active?.trouble.hand : undefined)?.(call) ?? plainAnswer(call);

  async function plainAnswer({ part, contract, site }: HandCall): Promise<unknown> {
    const { world } = stage;
    const label = site.key.slice(site.runId.length + 1);
    const entries = scriptOf(site.runId)?.entries;
    const entry = entries?.get(label) ?? [...(entries?.values() ?? [])].find(({ invokeId }) => site.key.endsWith(`:${invokeId}`));
    if (!entry) throw new TypeError(`the script knows nothing of ${label}`);
    switch (part) {
      case 'prepare':
        return { was: label };
      case 'probe': {
        const state = world.stands(site.key);
        if (state === 'applied')
          return { state, output: 'done' in answerOf(entry) ? (answerOf(entry) as { done: unknown }).done : undefined };
        return state === 'partial' ? { state, say: 'half of it is there' } : { state };
      }
      case 'undo':
        return world.undo(site.key);
      case 'run':
        return runNow(entry, contract, site);
      default:
        return part satisfies never;
    }
  }

  async function runNow(entry: Entry, contract: ContractLike, site: HandCall['site']): Promise<unknown> {
    if (entry.answer === 'hangs') return aborted(site.signal);
    if ('error' in entry.answer) {
      await due(entry, site);
      const { code, ...record } = entry.answer.error;
      throw new AppError(code, { ...record, applied: 'no' });
    }
    if (writes(contracts, entry)) stage.world.apply(site.key, contract);
    await due(entry, site);
    return entry.answer.done;
  }

  /** Answers of effects that run at the same time come in the order of the path. */
  async function due(entry: Entry, site: HandCall['site']): Promise<void> {
    while ((versions.get(site.runId) ?? entry.at) < entry.at) {
      await Promise.race([new Promise<void>((resolve) => listeners.add(resolve)), aborted(site.signal)]);
    }
  }

  stage.hooks.store = (call) => {
    const [change] = call.args as [{ runId?: string } | undefined];
    if (call.method === 'commit' && call.when === 'after' && change?.runId !== undefined) {
      const answer = call.result as { ok: boolean; version: number }; // what commit answers
      if (answer.ok) versions.set(change.runId, answer.version);
      for (const listener of listeners) listener();
      listeners.clear();
    }
    if (call.when === 'after' && writing.has(call.method)) written++;
    active?.trouble.store?.(call);
  };

  /** Follows a dead process by a new one, and takes over from a frozen one as if its lock had been lost. */
  async function tend(): Promise<void> {
    const now = await stage.current();
    for (const frozen of stage.processes().filter((each) => each.frozen())) {
      const owners = await now.store.owners();
      const lost = owners.filter((owner) => owner === frozen.worker());
      if (lost.length > 0) await now.store.takeOver(lost);
    }
  }

  const until = (condition: () => Promise<boolean>): Promise<boolean> =>
    stage.until(async () => {
      await tend();
      return condition();
    });

  async function glance(runId: string): Promise<Glance> {
    const { store } = await stage.current();
    const loaded = await store.load(runId);
    if (!loaded) throw new TypeError(`the run ${runId} is lost`);
    return loaded;
  }

  async function look(runId: string): Promise<Seen> {
    const loaded = await glance(runId);
    const { store } = await stage.current();
    const [effects, events] = [await store.effects(runId), await store.events(runId, { after: 0, limit: 1_000 })];
    return { ...loaded, effects, events };
  }

  /** Undefined when the process died over it. */
  async function once(call: (engine: Engine) => Promise<Answer>): Promise<{ answer: Answer } | { error: AppError } | undefined> {
    const process = await stage.current();
    let end: { answer: Answer } | { error: AppError } | undefined;
    let failed: unknown;
    call(process.desk.engine).then(
      (answer) => {
        end = { answer };
      },
      (error: unknown) => {
        if (error instanceof AppError) end = { error };
        else failed = error;
      },
    );
    const settled = await stage.until(() => end !== undefined || failed !== undefined || !process.alive() || process.frozen());
    if (failed !== undefined) throw failed;
    if (!settled) throw new Stuck('a call of the engine was never answered');
    return end;
  }

  async function ask(call: (engine: Engine) => Promise<Answer>): Promise<Answer> {
    for (let tries = 0; tries < 12; tries++) {
      await tend();
      const end = await once(call);
      if (end && 'answer' in end) return end.answer;
      if (!end || end.error.retry === 'later') continue;
      if (end.error.code !== 'APPROVAL_REQUIRED') throw end.error;
      const granted = await once((engine) => engine.approve(String(end.error.details?.['approval']), person));
      if (granted && 'answer' in granted) return granted.answer;
      if (granted && granted.error.retry !== 'later' && granted.error.code !== 'APPROVAL_STALE') throw granted.error;
    }
    throw new Stuck('a call of the engine had no answer after twelve tries');
  }

  async function waitFor(runId: string, what: string, condition: (seen: Glance) => boolean): Promise<void> {
    let last: Glance | undefined;
    let lookedAt = -1;
    const reached = await until(async () => {
      if (lookedAt === written) return false; // nothing was written since
      lookedAt = written;
      last = await glance(runId);
      if (condition(last)) return true;
      const asking = last.open.find((row) => row.attention);
      if (asking && active?.trouble.person) {
        await ask((engine) => engine.resolve({ run: runId, effect: asking.key, as: 'retry', note: 'looked at' }, agent));
        return false;
      }
      return last.run.attention !== null || asking !== undefined;
    });
    if (last && reached && condition(last)) return;
    const why = last?.run.attention ?? last?.open.find((row) => row.attention)?.attention;
    const rows = last?.open
      .map((row) => `${row.key.slice(runId.length + 1)} ${row.status} ${row.outside}${row.worker ? ' owned' : ''}`)
      .join(', ');
    throw new Stuck(
      `waiting for ${what}: it rests in ${last?.run.state} at version ${last?.run.version}; open: ${rows || 'nothing'}${why ? `; ${why.code}: ${why.message}` : ''}`,
    );
  }

  return {
    scene,
    ask,
    waitFor,
    look,
    async preview(runId, to) {
      const { desk } = await stage.current();
      return (await desk.engine.previewRollback(runId, to)).undo.map(({ effect }) => effect);
    },
    trouble(trouble) {
      if (active) active = { ...active, trouble };
    },
    async retire(runId) {
      active = undefined;
      const { run } = await glance(runId);
      if (run.phase === 'active') await ask((engine) => engine.cancel({ run: runId, requestKey: `${runId} retire` }, agent));
    },
    async play(name, script, trouble) {
      active = { script, trouble };
      const started = await ask((engine) =>
        engine.start({ workflow: workflow.name, input: script.route.input, name, requestKey: `${name} start` }, agent),
      );
      const { runId } = started;
      scripts.set(runId, script);
      for (const [index, { happening }] of script.route.steps.entries()) {
        const version = index + 1;
        await waitFor(runId, `version ${version}`, ({ run }) => run.version >= version);
        if (happening.kind === 'timer') {
          const { timers } = await glance(runId);
          const timer = timers.find(({ timerId }) => timerId === happening.timerId);
          if (timer) stage.clock.jump(timer.dueAt);
        }
        if (happening.kind === 'send') {
          const secrets = secretFields(placeAt(script.route, version), happening.event);
          const payload = { ...happening.payload, ...Object.fromEntries(secrets.map((field) => [field, 'env:MADE_UP'])) };
          await ask((engine) =>
            engine.advance(
              { run: runId, event: happening.event, payload, expectedVersion: version, requestKey: `${name} ${index}` },
              agent,
            ),
          );
        }
      }
      const last = script.route.steps.length + 1;
      await waitFor(runId, 'its end', ({ run, open }) => run.version >= last && open.length === 0);
      if (!(await until(async () => stage.clock.scheduled() === 0))) throw new Stuck('what was on its way outside never landed');
      return runId;
    },
    close: () => stage.close(),
  };
}

/** A run that does not go on although it should. */
export class Stuck extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'Stuck';
  }
}

function answerOf(entry: Entry): { done: unknown } | { error: unknown } {
  return entry.answer === 'hangs' ? { error: undefined } : entry.answer;
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/** Any thrown thing in one sentence. */
export function sayError(error: unknown): string {
  return error instanceof Stuck ? `stuck: ${error.message}` : `${toRecord(error).code}: ${toRecord(error).message}`;
}
