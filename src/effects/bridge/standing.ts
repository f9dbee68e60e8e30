/**
 * Which bridges stand in a project, whose they are, and whether their use is over. Invariants:
 * 1. Ours are those whose description carries this installation's id; only such a one is ever called left over.
 * 2. What is in use, belongs to another target of ours or to somebody else is told, and left alone.
 */
import { parse } from 'yaml';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import type { DokployClient } from '../dokploy/client.ts';
import type { ComposeOne } from '../dokploy/schemas.ts';
import { orMissing, signOf } from '../dokploy/session.ts';
import type { EffectContext, TargetRecord } from '../handler.ts';

export const serviceName = 'capstan-bridge';

/** What this home knows of itself. */
export type HomeFacts = {
  /** Of all processes and runs of this home, and of no other home. */
  installation: string;
  /** True also for a run that nobody remembers. */
  runIsOver(runId: string): Promise<boolean>;
};

export type Sign = { key: string; installation: string; target: string };

/** The description of a bridge's service. */
export function bridgeSign(ctx: { key: string }, { installation }: Pick<HomeFacts, 'installation'>, target: string): string {
  return `${signOf(ctx)} of ${installation} for ${target}`;
}

/** Undefined for a description that no installation wrote. */
export function readSign(description: string | null): Sign | undefined {
  const [, key, installation, target] = /^capstan (\S{1,300}) of (\S{1,100}) for (\S{1,120})$/.exec(description ?? '') ?? [];
  return key === undefined || installation === undefined || target === undefined ? undefined : { key, installation, target };
}

export type Whose = 'left over' | 'in use' | 'another target' | 'foreign';
export type Standing = { composeId: string; appName: string; host: string | null; whose: Whose; why: string };

type Known = {
  installation: string;
  now: number;
  target: Pick<TargetRecord, 'name' | 'facts'>;
  runOver: boolean;
  /** The target that the sign names is registered here. */
  targetKnown: boolean;
};

/** Pure. `until` in ms since the epoch, null where the text does not say. */
export function judgeBridge(
  composeId: string,
  sign: Sign | undefined,
  until: number | null,
  known: Known,
): Pick<Standing, 'whose' | 'why'> {
  if (sign?.installation !== known.installation) return { whose: 'foreign', why: 'another installation made it' };
  if (sign.target !== known.target.name)
    return known.targetKnown
      ? { whose: 'another target', why: `it belongs to the target ${sign.target}` }
      : { whose: 'left over', why: 'its target is not registered any more' };
  if (known.runOver) return { whose: 'left over', why: 'the run that installed it is over' };
  if (until !== null && until <= known.now) return { whose: 'left over', why: 'its hour has passed' };
  if (bridgeIdOf(known.target) !== composeId) return { whose: 'left over', why: 'its target does not name it' };
  return { whose: 'in use', why: `the run ${runOf(sign)} has it in use and removes it` };
}

const runOf = ({ key }: Sign): string => key.split(':')[0] ?? '';

/** The service that a target names as its bridge. */
export function bridgeIdOf({ facts }: Pick<TargetRecord, 'facts'>): unknown {
  return Reflect.get(Object(facts['bridge']), 'composeId');
}

export type Surroundings = HomeFacts & {
  client: DokployClient;
  now: number;
  target: Pick<TargetRecord, 'name' | 'facts'>;
  /** Throws TARGET_UNKNOWN. */
  targetOf(name: string): Promise<unknown>;
};

export function aroundOf(
  home: HomeFacts,
  ctx: Pick<EffectContext, 'now' | 'target'>,
  client: DokployClient,
  target: Surroundings['target'],
): Surroundings {
  return { ...home, client, now: ctx.now(), target, targetOf: ctx.target };
}

/** Every bridge of a project, judged for one target. */
export async function standingBridges(projectId: string, around: Surroundings): Promise<Standing[]> {
  return Promise.all((await bridgesIn(around.client, projectId)).map((row) => standingOf(row, around)));
}

export async function standingOf(row: ComposeOne, { installation, runIsOver, now, target, targetOf }: Surroundings): Promise<Standing> {
  const sign = readSign(row.description);
  const ours = sign?.installation === installation;
  const known = {
    installation,
    now,
    target,
    runOver: ours && (await runIsOver(runOf(sign))),
    targetKnown: ours && (await isKnown(targetOf(sign.target))),
  };
  const { composeId } = row;
  return {
    composeId,
    appName: shown(row.appName),
    host: row.domains[0] ? shown(row.domains[0].host) : null,
    ...judgeBridge(composeId, sign, untilOf(row.composeFile), known),
  };
}

/** Lists show no description, so each service of that name is read. */
export async function bridgesIn(client: DokployClient, projectId: string): Promise<ComposeOne[]> {
  const project = await orMissing(client.project(projectId));
  const named = (project?.environments ?? []).flatMap(({ compose }) => (compose ?? []).filter(({ name }) => name === serviceName));
  const rows = await Promise.all(named.map(({ composeId }) => orMissing(client.composeOne(composeId))));
  return rows.filter((row): row is ComposeOne => row !== undefined);
}

async function isKnown(target: Promise<unknown>): Promise<boolean> {
  try {
    await target;
    return true;
  } catch (error) {
    if (error instanceof AppError && error.code === 'TARGET_UNKNOWN') return false;
    throw error;
  }
}

const relayText = z.object({
  services: z.object({ bridge: z.object({ environment: z.object({ UNTIL: z.string().regex(/^\d{1,15}$/) }) }) }),
});

function untilOf(composeFile: string): number | null {
  try {
    const read = relayText.safeParse(parse(composeFile));
    return read.success ? Number(read.data.services.bridge.environment.UNTIL) : null;
  } catch {
    return null; // what a person made of the text is no clock
  }
}

/** Names come from outside and go into sentences of ours. */
const shown = (name: string): string => (/^[\w.-]{1,253}$/.test(name) ? name : '(unreadable)');
