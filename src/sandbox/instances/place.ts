/**
 * Puts instances on the pretended server before anybody asks it: their rows are there, their first deployment has ended.
 * 1. What is done here stands in no journal: the journal tells what clients did.
 * 2. An instance that an earlier start placed is left as it is.
 */
import { readFile } from 'node:fs/promises';
import { AppError } from '../../errors.ts';
import { packageFile } from '../../package-root.ts';
import { composeRow, domainRow, environmentRow, mountRow, projectRow } from '../rows.ts';
import type { World } from '../world.ts';
import { type InstanceName, instances, isInstanceName } from './catalogue.ts';

/** Host of a placed instance. */
export const hostOf = (name: string): string => `${name}.supabase.test`;

/** Throws SANDBOX_INSTANCE_UNKNOWN and places none when one is not known. */
export function checkInstances(names: readonly string[]): InstanceName[] {
  return names.map((name) => {
    if (isInstanceName(name)) return name;
    throw new AppError('SANDBOX_INSTANCE_UNKNOWN', {
      message: `The sandbox has no instance ${JSON.stringify(name.slice(0, 60))}.`,
      fix: `Use one of ${Object.keys(instances).join(', ')}.`,
    });
  });
}

const blueprint = (file: string): Promise<string> => readFile(packageFile('src', 'sandbox', 'blueprint', file), 'utf8');

/** Places and deploys; ends when all containers are up. Throws SANDBOX_INSTANCE_FAILED. */
export async function placeInstances(world: World, names: readonly InstanceName[]): Promise<void> {
  const texts = { toml: await blueprint('template.toml'), compose: await blueprint('docker-compose.yml') };
  const { rows } = world.state;
  const missing = [...new Set(names)].filter((name) => !rows.projects.some((project) => project.name === name));
  await Promise.all(missing.map((name) => place(world, name, texts)));
}

async function place(world: World, name: InstanceName, texts: { toml: string; compose: string }): Promise<void> {
  const { rows } = world.state;
  const { compose: composeFile, env, later, mounts, route } = instances[name].make(texts, hostOf(name));
  const project = projectRow({ name, description: instances[name].say });
  const environment = environmentRow({ projectId: project.projectId, name: 'production', isDefault: true });
  const compose = composeRow({
    name: 'supabase',
    appName: `${name}-supabase`,
    environmentId: environment.environmentId,
    composeFile,
    sourceType: 'raw',
  });
  const { composeId } = compose;
  rows.projects.push(project);
  rows.environments.push(environment);
  rows.composes.push(Object.assign(compose, { env }));
  for (const mount of mounts) rows.mounts.push(mountRow({ ...mount, composeId, mountPath: '' }));
  rows.domainCount += 1;
  const domain = { host: hostOf(name), composeId, serviceName: 'kong', port: 8000, domainType: 'compose', ...route };
  rows.domains.push(domainRow(domain, rows.domainCount));
  await bringUp(world, composeId, name);
  if (later === undefined) return;
  compose.env = later.env;
  if (later.deployed) await bringUp(world, composeId, name);
  world.state.save();
}

async function bringUp(world: World, composeId: string, name: string): Promise<void> {
  const failure = await world.queue.bringUp(composeId, 'Deployed before the sandbox opened');
  if (failure === '') return;
  throw new AppError('SANDBOX_INSTANCE_FAILED', {
    message: `The instance ${name} could not be brought up: ${failure.trim().slice(0, 500)}`,
    fix: 'Start the sandbox with a fresh folder; if it stays so, start it without this instance.',
  });
}
