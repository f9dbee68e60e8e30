/** What the containers of a stack wrote, as `docker logs --timestamps` shows it; gone with the containers, as there. */
import { loginOf } from '../gateway/upstream.ts';
import { type Database, withClient } from '../postgres/database.ts';
import type { StackRecord } from '../state.ts';
import { containersOf } from './containers.ts';

const kept = 20_000;
const written = new WeakMap<StackRecord, Map<string, string[]>>();

const stamp = (at: number): string => new Date(at).toISOString().replace('Z', '000000Z');

/** Adds the lines of a text to the log of one service. */
export function logTo(stack: StackRecord, service: string, text: string): void {
  const ofStack = written.get(stack) ?? new Map<string, string[]>();
  written.set(stack, ofStack);
  const lines = ofStack.get(service) ?? [];
  ofStack.set(service, lines);
  for (const line of text.split('\n')) lines.push(`${stamp(Date.now())} ${line}`);
  lines.splice(0, Math.max(0, lines.length - kept));
}

/** How each service says that it is up, in its own form. */
const ready: Readonly<Record<string, string>> = {
  db: 'LOG:  database system is ready to accept connections',
  kong: '[notice] 1#0: start worker processes',
  auth: '{"level":"info","msg":"GoTrue API started on: 0.0.0.0:9999"}',
  storage: '{"level":30,"msg":"[Server] Started Successfully"}',
  realtime: '[info] Running RealtimeWeb.Endpoint with cowboy at 0.0.0.0:4000 (http)',
};

/** Whom the database refuses: the user of the service's first connection URL that cannot log in. */
async function refusedLogin(env: Readonly<Record<string, string>>, database: Database | undefined): Promise<string | undefined> {
  if (database === undefined) return undefined;
  const urls = Object.values(env).filter((value) => /^(postgres|postgresql|ecto):\/\//.test(value) && URL.canParse(value));
  for (const login of urls.map(loginOf)) {
    const refused = await withClient(database.connect(login), async () => undefined).catch((error: unknown) => error);
    if (refused instanceof Error && 'code' in refused && refused.code === '28P01') return login.user;
  }
  return undefined;
}

/** The whole log of a container, by id or name; docker's own words when there is none. */
export async function containerLog(
  stack: StackRecord | undefined,
  database: Database | undefined,
  container: string,
  since: string,
): Promise<string> {
  const found =
    stack === undefined ? undefined : containersOf(stack, Date.now()).find((one) => [one.containerId, one.name].includes(container));
  if (stack === undefined || found === undefined) return `Error response from daemon: No such container: ${container}\n`;
  const service = found.name.slice(stack.appName.length + 1, -2);
  const env = stack.services.find(({ name }) => name === service)?.env ?? {};
  const refused = await refusedLogin(env, database);
  const then =
    refused === undefined
      ? (ready[service] ?? 'ready to accept connections')
      : `FATAL: password authentication failed for user "${refused}" (SQLSTATE 28P01)`;
  const lines = [
    `${stamp(stack.startedAt)} ${found.image} starting`,
    ...(stack.phase === 'healthy' ? [`${stamp(stack.startedAt)} ${then}`] : []),
    ...(written.get(stack)?.get(service) ?? []),
  ];
  const from = sinceMs(since);
  return `${lines.filter((line) => Date.parse(line.slice(0, 23).concat('Z')) >= from).join('\n')}\n`.replace(/^\n$/, '');
}

function sinceMs(since: string): number {
  const [, count = '0', unit = 's'] = /^(\d+)([smhd])$/.exec(since) ?? [];
  const units: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
  return since === 'all' ? 0 : Date.now() - Number(count) * (units[unit] ?? 0);
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** One line of nginx' access log, as Kong writes it. */
export function accessLine(method: string, path: string, status: number): string {
  const now = new Date();
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${two(now.getUTCDate())}/${months[now.getUTCMonth()]}/${now.getUTCFullYear()}`;
  const time = [now.getUTCHours(), now.getUTCMinutes(), now.getUTCSeconds()].map(two).join(':');
  return `172.18.0.1 - - [${day}:${time} +0000] "${method} ${path} HTTP/1.1" ${status} 0 "-" "-"`;
}
