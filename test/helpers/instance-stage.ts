/** A sandbox with deployed instances, registered as targets of a home: where workflows on running instances are proven. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InstanceName } from '../../src/sandbox/instances/catalogue.ts';
import { hostOf } from '../../src/sandbox/instances/place.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/start.ts';
import { openStage, type Stage } from './wizard-stage.ts';

export type InstanceStage = Stage & {
  sandbox: Sandbox;
  composeId(name: InstanceName): string;
  /** The environment text as Dokploy keeps it. */
  env(name: InstanceName): Promise<string>;
  /** What the Dokploy answers to a read. */
  get(procedure: string, query?: Record<string, string>): Promise<unknown>;
  /** A write as somebody else would do it. Throws when it is refused. */
  post(procedure: string, body: Record<string, unknown>): Promise<unknown>;
  /** Procedures of the calls that changed something, since the mark. */
  writesSince(mark: number): string[];
  mark(): number;
};

export async function openInstances(names: readonly InstanceName[]): Promise<InstanceStage> {
  const folder = mkdtempSync(join(tmpdir(), 'capstan-instances-'));
  const sandbox = await startSandbox({ dataDir: join(folder, 'twin'), instances: [...names] });
  const stage = await openStage(sandbox);
  const headers = { 'x-api-key': sandbox.apiKey, 'content-type': 'application/json' };
  const bodyOf = async (answer: Response): Promise<unknown> => {
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${answer.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  };
  const get = async (procedure: string, query: Record<string, string> = {}) =>
    bodyOf(await fetch(`${sandbox.url}/api/${procedure}?${new URLSearchParams(query)}`, { headers }));
  const composeOf = (name: InstanceName) => sandbox.state().composes.find((row) => row.appName.startsWith(`${name}-supabase-`));
  const composeId = (name: InstanceName) => composeOf(name)?.composeId ?? '';
  for (const name of names) {
    const compose = composeOf(name);
    const environment = sandbox.state().environments.find((row) => row.environmentId === compose?.environmentId);
    if (!compose || !environment) throw new Error(`the instance ${name} was not placed`);
    const { composeId: id, appName, environmentId } = compose;
    const dokploy = { name: 'home', projectId: environment.projectId, environmentId, composeId: id, appName };
    await stage.app.registry.addTarget(
      { name, kind: 'dokploy', tags: [], record: { url: `https://${hostOf(name)}`, dokploy, secrets: {}, facts: {} } },
      [],
    );
  }
  return {
    ...stage,
    sandbox,
    composeId,
    get,
    async env(name) {
      const row = await get('compose.one', { composeId: composeId(name) });
      return String(Reflect.get(Object(row), 'env'));
    },
    post: async (procedure, body) =>
      bodyOf(await fetch(`${sandbox.url}/api/${procedure}`, { method: 'POST', headers, body: JSON.stringify(body) })),
    mark: () => sandbox.journal().length,
    writesSince: (mark) =>
      sandbox
        .journal()
        .slice(mark)
        .filter((entry) => entry.applied)
        .map((entry) => entry.procedure),
    async close() {
      await stage.close();
      await sandbox.stop({ discard: true });
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
