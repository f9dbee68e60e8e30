/** What somebody with the sandbox's API key does beside the product: its environment, deployments, and psql inside the database container. */
import { z } from 'zod';
import type { Sandbox } from '../../src/sandbox/start.ts';

type Api = {
  env(): Promise<string>;
  setEnv(env: string): Promise<void>;
  deployments(): Promise<{ status: string; deploymentId: string }[]>;
  /** Ends when the deployment has. Throws when it failed. */
  deploy(): Promise<void>;
  post(procedure: string, body: object): Promise<unknown>;
};

export function composeIdOf(sandbox: Sandbox, instance: string): string {
  const found = sandbox.state().composes.find((row) => row.appName.startsWith(`${instance}-supabase-`));
  if (!found) throw new Error(`the sandbox has no instance ${instance}`);
  return found.composeId;
}

export function composeApi(sandbox: Sandbox, instance: string): Api {
  const composeId = composeIdOf(sandbox, instance);
  const headers = { 'x-api-key': sandbox.apiKey, 'content-type': 'application/json' };
  const read = async (answer: Response): Promise<unknown> => {
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${answer.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  };
  const get = async (procedure: string, id: string) => read(await fetch(`${sandbox.url}/api/${procedure}?composeId=${id}`, { headers }));
  const post = async (procedure: string, body: object) =>
    read(await fetch(`${sandbox.url}/api/${procedure}`, { method: 'POST', headers, body: JSON.stringify(body) }));
  const deployments = async () =>
    z.array(z.looseObject({ status: z.string(), deploymentId: z.string() })).parse(await get('deployment.allByCompose', composeId));
  return {
    post,
    deployments,
    env: async () => z.looseObject({ env: z.string() }).parse(await get('compose.one', composeId)).env,
    setEnv: async (env) => void (await post('compose.saveEnvironment', { composeId, env })),
    async deploy() {
      const known = new Set((await deployments()).map(({ deploymentId }) => deploymentId));
      await post('compose.deploy', { composeId });
      // It is not our process, so its end cannot be awaited as an event.
      for (let tries = 0; tries < 600; tries += 1, await new Promise((resolve) => setTimeout(resolve, 50))) {
        const own = (await deployments()).find(({ deploymentId }) => !known.has(deploymentId));
        if (own?.status === 'done') return;
        if (own?.status === 'error') throw new Error('the deployment failed');
      }
      throw new Error('the deployment did not end');
    },
  };
}

/** Rows as psql prints them, asked as supabase_admin by the container's own socket. */
export async function sqlInContainer(sandbox: Sandbox, instance: string, sql: string, database: string): Promise<string[][]> {
  const { post } = composeApi(sandbox, instance);
  const composeId = composeIdOf(sandbox, instance);
  const command = `echo ${Buffer.from(sql).toString('base64')} | base64 -d | psql -U supabase_admin -d ${database} 2>&1`;
  const made = {
    name: 'by hand',
    cronExpression: '0 0 1 1 *',
    command,
    scheduleType: 'compose',
    composeId,
    serviceName: 'db',
    enabled: false,
  };
  const { scheduleId } = z.looseObject({ scheduleId: z.string() }).parse(await post('schedule.create', made));
  try {
    const { deploymentId } = z.looseObject({ deploymentId: z.string() }).parse(await post('schedule.runManually', { scheduleId }));
    const headers = { 'x-api-key': sandbox.apiKey };
    const log = await (await fetch(`${sandbox.url}/api/deployment.readLogs?deploymentId=${deploymentId}&tail=10000`, { headers })).text();
    const text = log.startsWith('"') ? z.string().parse(JSON.parse(log)) : log;
    if (!text.includes('Command executed successfully')) throw new Error(text);
    const lines = text.split('\n');
    const from = lines.findIndex((line) => line.startsWith('docker exec')) + 1;
    return lines
      .slice(
        from,
        lines.findIndex((line) => line.startsWith('✅')),
      )
      .map((line) => line.split('|'));
  } finally {
    await post('schedule.delete', { scheduleId });
  }
}
