/** The crashes and troubles that one effect of a run meets (issue of engine.md E, C): each is armed for one entry and must be hit. */

import type { Change, Committed } from '../engine/ports.ts';
import { AppError } from '../errors.ts';
import type { Entry } from './script.ts';
import type { HandCall, StoreCall } from './stage.ts';
import type { Scene, Trouble } from './theatre.ts';

export type Kind = {
  name: string;
  /** Only what changes the outside can be half applied, late or in doubt. */
  writesOnly?: true;
  /** Also for an entry that the path lets be refused. */
  anyAnswer?: true;
  arm(scene: Scene, target: Entry, hit: Hit): Trouble;
};

/** Tells whether the moment was reached: the first `times` calls answer true. */
export type Hit = (times?: number) => boolean;

const opens = (scene: Scene, { label }: Entry, { method, args }: StoreCall): boolean => {
  const [change] = args as [Change]; // commit takes one change
  return method === 'commit' && (change.open?.some((row) => row.kind === 'do' && scene.isKey(row.key, label)) ?? false);
};
const closes = (scene: Scene, { label }: Entry, { method, args }: StoreCall, kind: 'do' | 'undo' = 'do'): boolean => {
  const [change] = args as [Change];
  const key = method === 'commit' ? change.close?.key : undefined;
  return key !== undefined && key.startsWith('undo:') === (kind === 'undo') && scene.isKey(key, label);
};
const launches = (scene: Scene, { label }: Entry, { method, args }: StoreCall, kind: 'do' | 'undo' = 'do'): boolean => {
  const [key] = args as [string];
  return method === 'launch' && key.startsWith('undo:') === (kind === 'undo') && scene.isKey(key, label);
};
const committed = ({ result }: StoreCall): boolean => (result as Committed).ok;

const dieAt =
  (when: StoreCall['when'], matches: (scene: Scene, target: Entry, call: StoreCall) => boolean): Kind['arm'] =>
  (scene, target, hit) => ({
    store: (call) => {
      if (call.when === when && matches(scene, target, call) && (when === 'before' || committed(call)) && hit()) call.process.die();
    },
  });

/** Instead of the world's plain answer when this part of this entry is called. */
const handAt =
  (part: HandCall['part'], act: (scene: Scene, call: HandCall, target: Entry) => Promise<unknown>, times = 1): Kind['arm'] =>
  (scene, target, hit) => ({
    hand: (call) => {
      const meant = call.part === part && scene.isKey(call.site.key, target.label) && hit(times);
      return meant ? act(scene, call, target) : scene.plain(call);
    },
  });

const never = (): Promise<never> => new Promise(() => undefined);
const lost = () => new AppError('SAMPLE_LOST', { message: 'The answer was lost on the way.', retry: 'later', applied: 'unknown' });
const busy = () => new AppError('STORE_BUSY', { message: 'The store was locked by other processes.', fix: 'Try again.', retry: 'later' });

const applyIfWriting = (scene: Scene, { contract, site }: HandCall): void => {
  if (!contract.readOnly && !contract.local) scene.stage.world.apply(site.key, contract);
};

/** Frozen at this call; another process takes its effects over and settles them; then it wakes and goes on where it stood. */
const frozenAt =
  (kind: 'do' | 'undo', matches: (scene: Scene, target: Entry, call: StoreCall, kind: 'do' | 'undo') => boolean): Kind['arm'] =>
  (scene, target, hit) => ({
    store: (call) => {
      if (call.when === 'before' && matches(scene, target, call, kind) && hit()) call.process.freeze();
      if (call.when === 'after' && closes(scene, target, call, kind) && committed(call))
        for (const process of scene.stage.processes()) if (process.frozen()) process.thaw();
    },
  });

export const crashKinds: readonly Kind[] = [
  { name: 'before intent', anyAnswer: true, arm: dieAt('before', opens) },
  { name: 'after intent', anyAnswer: true, arm: dieAt('after', opens) },
  {
    name: 'before launch',
    writesOnly: true,
    arm: dieAt('before', (scene, target, call) => launches(scene, target, call)),
    anyAnswer: true,
  },
  {
    name: 'before run',
    anyAnswer: true,
    arm: handAt('run', (_, { process }) => {
      process.die();
      return never();
    }),
  },
  {
    name: 'no answer',
    arm: handAt('run', async (scene, call) => {
      applyIfWriting(scene, call);
      throw lost();
    }),
  },
  {
    name: 'half applied',
    writesOnly: true,
    arm: handAt('run', (scene, { site, process }) => {
      scene.stage.world.half(site.key);
      process.die();
      return never();
    }),
  },
  {
    name: 'applied late',
    writesOnly: true,
    arm: handAt('run', (scene, { contract, site, process }) => {
      scene.stage.clock.schedule(scene.lateMs, () => scene.stage.world.apply(site.key, contract));
      process.die();
      return never();
    }),
  },
  { name: 'before outcome', anyAnswer: true, arm: dieAt('before', (scene, target, call) => closes(scene, target, call)) },
  { name: 'after outcome', anyAnswer: true, arm: dieAt('after', (scene, target, call) => closes(scene, target, call)) },
  { name: 'robbed asleep', writesOnly: true, arm: frozenAt('do', launches) },
  { name: 'robbed late', anyAnswer: true, arm: frozenAt('do', closes) },
  {
    name: 'probe unknown',
    writesOnly: true,
    arm: (scene, target, hit) => ({
      hand: async (call) => {
        if (!scene.isKey(call.site.key, target.label) || !['run', 'probe'].includes(call.part) || !hit(3)) return scene.plain(call);
        if (call.part === 'probe') return { state: 'unknown', say: 'nobody is at home' };
        applyIfWriting(scene, call);
        throw lost();
      },
    }),
  },
  {
    name: 'store busy',
    anyAnswer: true,
    arm: (scene, target, hit) => ({
      store: (call) => {
        const meant = closes(scene, target, call) || launches(scene, target, call);
        if (call.when === 'before' && meant && hit(3)) throw busy();
      },
    }),
  },
  {
    name: 'poison',
    arm: (scene, target, hit) => ({
      person: true,
      hand: async (call) => {
        const meant = call.part === 'run' && scene.isKey(call.site.key, target.label) && hit();
        const answer = await scene.plain(call);
        return meant ? poisonFor(call) : answer;
      },
    }),
  },
];

/** A value that the contract's output does not allow. Throws when it allows everything. */
function poisonFor({ contract }: HandCall): unknown {
  const poison = [null, 7, 'poison', [], {}].find((value) => !contract.output.safeParse(value).success);
  if (poison === undefined) throw new TypeError(`the output of ${contract.name} allows everything`);
  return poison;
}

/** Crashes inside the undo of one effect (B2d). */
export const undoKinds: readonly Kind[] = [
  {
    name: 'before launch',
    arm: dieAt('before', (scene, target, call) => launches(scene, target, call, 'undo')),
  },
  {
    name: 'before undo',
    arm: handAt('undo', (_, { process }) => {
      process.die();
      return never();
    }),
  },
  {
    name: 'no answer',
    arm: handAt('undo', async (scene, { site }) => {
      scene.stage.world.undo(site.key);
      throw lost();
    }),
  },
  { name: 'before outcome', arm: dieAt('before', (scene, target, call) => closes(scene, target, call, 'undo')) },
  { name: 'after outcome', arm: dieAt('after', (scene, target, call) => closes(scene, target, call, 'undo')) },
  { name: 'robbed asleep', arm: frozenAt('undo', launches) },
  { name: 'robbed late', arm: frozenAt('undo', closes) },
  { name: 'probe unknown', arm: handAt('probe', async () => ({ state: 'unknown', say: 'nobody is at home' }), 2) },
  {
    name: 'store busy',
    arm: (scene, target, hit) => ({
      store: (call) => {
        const meant = closes(scene, target, call, 'undo') || launches(scene, target, call, 'undo');
        if (call.when === 'before' && meant && hit(3)) throw busy();
      },
    }),
  },
];

const commits =
  (what: (change: Change) => boolean) =>
  (_: Scene, __: Entry, { method, args }: StoreCall): boolean =>
    method === 'commit' && what((args as [Change])[0]);
const requested = commits((change) => change.event?.type === 'capstan.rollback_requested');
const frozen = commits((change) => change.run?.rollback?.stage === 'undoing');
const finished = commits((change) => change.event?.type === 'capstan.rolled_back');

/** Crashes between the undos of a rollback (B2a-e); they need no undo. */
export const rollbackKinds: readonly Kind[] = [
  { name: 'before request', arm: dieAt('before', requested) },
  { name: 'after request', arm: dieAt('after', requested) },
  { name: 'before freeze', arm: dieAt('before', frozen) },
  { name: 'after freeze', arm: dieAt('after', frozen) },
  { name: 'before end', arm: dieAt('before', finished) },
  { name: 'after end', arm: dieAt('after', finished) },
];
