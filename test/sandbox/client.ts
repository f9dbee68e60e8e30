import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/start.ts';

export type Answer = { status: number; contentType: string | null; headers: Headers; text: string; body: unknown };

type Target = { url: string; apiKey: string };
type Sent = { method?: 'GET' | 'POST'; headers?: Record<string, string>; raw?: string; signal?: AbortSignal };

/** One call to a Dokploy: a body makes it a POST, a query stands in the path. */
export async function call(target: Target, procedure: string, body?: unknown, sent: Sent = {}): Promise<Answer> {
  const text = sent.raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const method = sent.method ?? (text === undefined ? 'GET' : 'POST');
  const response = await fetch(`${target.url}/api/${procedure}`, {
    method,
    headers: { 'x-api-key': target.apiKey, ...(text === undefined ? {} : { 'content-type': 'application/json' }), ...sent.headers },
    ...(text === undefined ? {} : { body: text }),
    ...(sent.signal === undefined ? {} : { signal: sent.signal }),
  });
  return toAnswer(response.status, response.headers, await response.text());
}

function toAnswer(status: number, headers: Headers, text: string): Answer {
  let body: unknown = text;
  try {
    body = JSON.parse(text);
  } catch {
    // Not every answer is JSON; the text is the body then.
  }
  return { status, contentType: headers.get('content-type'), headers, text, body };
}

/** Reads a field of an answer that must be there. */
export function field<T = string>(value: unknown, ...path: (string | number)[]): T {
  let at = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !(key in at))
      throw new Error(`no ${path.join('.')} in ${JSON.stringify(value)?.slice(0, 300)}`);
    // The line above made sure that it is there.
    at = (at as Record<string | number, unknown>)[key];
  }
  // The caller's test states the type; a wrong one fails its assertion.
  return at as T;
}

/** A sandbox in a folder of its own; `close` ends it and deletes the folder. */
export async function openSandbox(options: Partial<SandboxOptions> = {}): Promise<{ sandbox: Sandbox; close(): Promise<void> }> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'capstan-sandbox-test-'));
  const sandbox = await startSandbox({ ...options, dataDir }).catch((error: unknown) => {
    rmSync(dataDir, { recursive: true, force: true });
    throw error;
  });
  return {
    sandbox,
    async close() {
      await sandbox.stop({ discard: true });
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

export type Service = { projectId: string; environmentId: string; composeId: string; appName: string };

/** A project with an empty compose service in it. */
export async function createService(target: Target, composeFile?: string): Promise<Service> {
  const project = (await call(target, 'project.create', { name: 'demo', description: 'a test' })).body;
  const environmentId = field(project, 'environment', 'environmentId');
  const compose = (
    await call(target, 'compose.create', { name: 'supabase', appName: 'demo', environmentId, sourceType: 'raw', composeFile })
  ).body;
  return {
    projectId: field(project, 'project', 'projectId'),
    environmentId,
    composeId: field(compose, 'composeId'),
    appName: field(compose, 'appName'),
  };
}

type Templates = Pick<Sandbox, 'templateBaseUrl'>;

/** The blueprint as compose.import and compose.previewTemplate want it. */
export async function blueprint(sandbox: Templates, change: (compose: string) => string = (text) => text): Promise<string> {
  const read = async (file: string) => (await fetch(`${sandbox.templateBaseUrl}/blueprints/supabase/${file}`)).text();
  const payload = { compose: change(await read('docker-compose.yml')), config: await read('template.toml') };
  return Buffer.from(JSON.stringify(payload)).toString('base64');
}

export type Row = Record<string, unknown> & { status: string; finishedAt: string | null };

/** Waits until the newest deployment of a service with this description has ended. */
export async function deployed(target: Target, composeId: string, description: string): Promise<Row> {
  for (let turn = 0; turn < 600; turn += 1) {
    const rows = field<Row[]>(await call(target, `deployment.allByCompose?composeId=${composeId}`), 'body');
    const row = rows.find((one) => one.description === description);
    if (row !== undefined && row.finishedAt !== null) return row;
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  throw new Error(`the deployment ${description} did not end`);
}

/** Asks for a deployment and waits for its end. */
export async function deploy(target: Target, composeId: string, description: string): Promise<Row> {
  await call(target, 'compose.deploy', { composeId, title: 'test', description });
  return deployed(target, composeId, description);
}

export type Stack = Service & { host: string; env: Record<string, string>; deployment: Row };

/** Creates, imports, switches https on and deploys the blueprint. */
export async function deployStack(sandbox: Target & Templates, change?: (compose: string) => string): Promise<Stack> {
  const service = await createService(sandbox);
  const { composeId } = service;
  await call(sandbox, 'compose.import', { composeId, base64: await blueprint(sandbox, change) });
  const domain = field<{ domainId: string; host: string }>(await call(sandbox, `domain.byComposeId?composeId=${composeId}`), 'body', 0);
  await call(sandbox, 'domain.update', { domainId: domain.domainId, host: domain.host, https: true, certificateType: 'letsencrypt' });
  const text = field(await call(sandbox, `compose.one?composeId=${composeId}`), 'body', 'env');
  const env = Object.fromEntries(text.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
  return { ...service, host: domain.host, env, deployment: await deploy(sandbox, composeId, 'first') };
}

type Asked = { method?: string; headers?: Record<string, string>; body?: string; secure?: boolean; trust?: boolean };

/** One request to the gateway under a host name, over TLS with the sandbox's authority unless told otherwise. */
export function ask(sandbox: Sandbox, host: string, path: string, asked: Asked = {}): Promise<Answer> {
  const { method = 'GET', headers = {}, body, secure = true, trust = true } = asked;
  const { address, httpsPort, httpPort } = sandbox.gateway;
  const shared = { host: address, path, method, headers: { ...headers, host }, agent: false as const };
  return new Promise((resolve, reject) => {
    const done = (message: http.IncomingMessage) => {
      const chunks: Buffer[] = [];
      message.on('data', (chunk: Buffer) => chunks.push(chunk));
      message.on('end', () => {
        const pairs = Object.entries(message.headers).map(([name, value]): [string, string] => [name, String(value)]);
        resolve(toAnswer(message.statusCode ?? 0, new Headers(pairs), Buffer.concat(chunks).toString('utf8')));
      });
    };
    const request = secure
      ? https.request({ ...shared, port: httpsPort, servername: host, ...(trust ? { ca: sandbox.ca } : {}) }, done)
      : http.request({ ...shared, port: httpPort }, done);
    request.on('error', reject);
    request.end(body);
  });
}

/** SQL over /pg/query with the service key. */
export const sql = (sandbox: Sandbox, stack: Stack, query: string, headers: Record<string, string> = {}): Promise<Answer> =>
  ask(sandbox, stack.host, '/pg/query', {
    method: 'POST',
    headers: { apikey: stack.env.SERVICE_ROLE_KEY ?? '', 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query }),
  });
