import { readFileSync } from 'node:fs';
import { defineCommand } from 'citty';
import type { App } from '../../app.ts';
import { toRecord } from '../../errors.ts';
import type { Guard } from '../../mcp/answer.ts';
import { type Limits, limited, localConnection } from '../../mcp/connection.ts';
import type { HttpServing } from '../../mcp/serve-http.ts';
import type { ServerDeps } from '../../mcp/server.ts';
import { packageFile } from '../../package-root.ts';
import type { Pages } from '../../web/pages.ts';
import { usage, valuesOf } from '../arguments.ts';
import { workflowsFlag } from '../command.ts';
import { firstDokployOf, registerFirst } from '../first-dokploy.ts';
import { leave } from '../leave.ts';
import { defaultPort, type HttpFlags, type HttpPlan, planHttp, startHttp } from '../serve-http.ts';
import { scrubber, surroundings, useWorkflowFolders } from '../surroundings.ts';
import { whole } from '../whole.ts';

/** Longest wait for an app that is just being opened when the client goes. */
const openingMs = 1_500;
/** How long a call that is being answered may go on after a stop was asked for; with leaving it is 2 s (engine.md L1). */
const answeringMs = 300;

export const serve = defineCommand({
  meta: { name: 'serve', description: 'Speak MCP over standard input and output (the default), or over HTTP' },
  args: {
    workflows: workflowsFlag,
    toolsets: { type: 'string', valueHint: 'A,B', description: 'Groups of tools beside core, or all' },
    targets: { type: 'string', valueHint: 'A,B', description: 'Only these targets, and runs about them' },
    'read-only': { type: 'boolean', description: 'Refuse every tool that changes something' },
    'deny-destructive': { type: 'boolean', description: "Refuse what needs a person's yes" },
    rate: { type: 'string', valueHint: 'N', description: 'Calls a minute per principal and tool. Default 3000 to look, 300 to change' },
    dokploy: { type: 'string', valueHint: 'URL', description: 'Register this Dokploy as main when none is registered yet' },
    'dokploy-key': { type: 'string', valueHint: 'env:NAME|file:PATH', description: 'Its API key by reference' },
    http: { type: 'boolean', description: 'Speak MCP over HTTP at /mcp instead' },
    host: { type: 'string', description: 'With --http: address to listen on. Default 127.0.0.1; another needs tokens' },
    port: { type: 'string', description: `With --http: port. Default ${defaultPort}; 0 takes a free one` },
    'allow-host': { type: 'string', description: 'With --http: a name it is called by; may be given more than once' },
    'secrets-from': {
      type: 'string',
      valueHint: 'DIR',
      description: 'With --http: folder from which tokens may name file:PATH; may be given more than once',
    },
    'files-from': {
      type: 'string',
      valueHint: 'DIR',
      description: 'With --http: folder from which tokens may name files, such as seeds; may be given more than once',
    },
    url: { type: 'string', description: 'With --http: public address of /mcp behind a proxy that speaks https' },
    issuer: { type: 'string', valueHint: 'URL', description: 'With --http and --url: OAuth server whose access tokens count' },
  },
  async run({ args, rawArgs }) {
    useWorkflowFolders(valuesOf(rawArgs, 'workflows'));
    const toolsets = namesIn(args.toolsets);
    const { toolsOf } = await import('../../mcp/toolset.ts');
    toolsOf(toolsets); // an unknown one is told before a client waits
    const secretFolders = valuesOf(rawArgs, 'secrets-from');
    const fileFolders = valuesOf(rawArgs, 'files-from');
    const folders = { ...(secretFolders.length > 0 ? { secretFolders } : {}), ...(fileFolders.length > 0 ? { fileFolders } : {}) };
    const limits = { ...limitsOf(args), ...folders };
    const lists = { 'allow-host': valuesOf(rawArgs, 'allow-host'), 'secrets-from': secretFolders, 'files-from': fileFolders };
    const plan = httpPlanOf(args, lists);
    const first = firstDokployOf(args);
    const { createRateGuard } = await import('../../mcp/rates.ts');
    const perMinute = args.rate === undefined ? {} : { perMinute: whole('capstan serve', 'rate', args.rate, 1_000_000) };
    let opened: Promise<App> | undefined;
    const open = async (): Promise<App> => {
      const { openApp } = await import('../../app.ts');
      const app = await openApp(await surroundings(false));
      await app.operations.carry();
      if (first) await registerFirst(app, first);
      app.worker.start();
      return app;
    };
    const app = () => {
      opened ??= open().catch((error: unknown) => {
        opened = undefined; // the next call tries again and tells what is wrong
        throw error;
      });
      return opened;
    };
    const rates = createRateGuard({ ...perMinute, shared: async () => (await app()).rates });
    const deps = { guard: guard(), version: ownVersion(), toolsets, rates, approvalTokens: await tokensOn() };
    const stopped = stopSignal();
    await (plan
      ? untilStopped(await startHttp(plan, app, deps, limits), stopped)
      : untilClientGoes({ ...deps, app, pages: pagesWith(app) }, limits, stopped));
    const last = opened && (await Promise.race([opened.catch(() => undefined), after(openingMs)]));
    if (last) await leave(last);
    process.exit(0);
  },
});

async function untilStopped({ url, close }: HttpServing, stopped: Promise<void>): Promise<void> {
  process.stdout.write(`MCP is spoken at ${url}\n`);
  await stopped;
  await close(answeringMs);
}

async function untilClientGoes(deps: ServerDeps, limits: Limits, stopped: Promise<void>): Promise<void> {
  const { serveOverStdio } = await import('../../mcp/serve-stdio.ts');
  await Promise.race([serveOverStdio(deps, limited(localConnection, limits)).ended, stopped]);
}

/** What this server narrows every connection to. */
function limitsOf(args: {
  targets?: string | undefined;
  'read-only'?: boolean | undefined;
  'deny-destructive'?: boolean | undefined;
}): Limits {
  return {
    readOnly: args['read-only'] === true,
    ...(args.targets === undefined ? {} : { targets: namesIn(args.targets) }),
    ...(args['deny-destructive'] === true ? { denyDestructive: true } : {}),
  };
}

type HttpArgs = { http?: boolean | undefined } & Omit<HttpFlags, 'allowHosts'>;

/** Undefined without --http; a flag of HTTP's without it would be silently without effect. */
function httpPlanOf(args: HttpArgs, lists: Record<'allow-host' | 'secrets-from' | 'files-from', string[]>): HttpPlan | undefined {
  if (args.http === true) return planHttp({ ...args, allowHosts: lists['allow-host'] });
  const alone = (['host', 'port', 'url', 'issuer'] as const).find((name) => args[name] !== undefined);
  const flag = alone ?? Object.entries(lists).find(([, values]) => values.length > 0)?.[0];
  if (flag !== undefined) throw usage('capstan serve', `--${flag} needs --http.`);
  return undefined;
}

function namesIn(list: string | undefined): string[] {
  return (list ?? '').split(',').filter((name) => name !== '');
}

/** The approval page of this process, made when it is first needed. */
function pagesWith(app: () => Promise<App>): () => Promise<Pages> {
  let made: Promise<Pages> | undefined;
  const make = async (): Promise<Pages> => {
    const [{ pagesOf }, { principal }] = await Promise.all([import('../../approval-pages.ts'), import('../approve-here.ts')]);
    const { log } = await surroundings(false);
    return pagesOf({ app: await app(), scrubber, log, principal: principal() });
  };
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined; // the next call tries again
      throw error;
    });
    return made;
  };
}

/** A configuration that cannot be read is told by the first call, as everything that is wrong with the home. */
async function tokensOn(): Promise<boolean> {
  const { readConfig } = await import('../../config.ts');
  try {
    return readConfig().approvalTokens === true;
  } catch {
    return false;
  }
}

function guard(): Guard {
  return {
    scrub: scrubber.scrub,
    logError(logId, error) {
      const stack = error instanceof Error ? error.stack : undefined;
      void surroundings(false).then(
        ({ log }) => log.error({ logId, error: toRecord(error), stack }, 'something unexpected failed'),
        () => undefined, // a configuration that cannot be read is told by the call itself
      );
    },
  };
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
}

function after(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, ms, undefined));
}

function ownVersion(): string {
  const { version } = JSON.parse(readFileSync(packageFile('package.json'), 'utf8'));
  return String(version);
}
