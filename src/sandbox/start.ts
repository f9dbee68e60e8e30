import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import { dispatch } from './api/dispatch.ts';
import { controlRoutes, leftovers, templateRoutes } from './control.ts';
import { createDeployQueue } from './deploy-queue.ts';
import { createFaults } from './faults.ts';
import { openFolder, type SandboxFolder } from './folder.ts';
import { closeServer, type Gateway, openGateway } from './gateway/listeners.ts';
import { checkInstances, placeInstances } from './instances/place.ts';
import { type JournalEntry, openJournal } from './journal.ts';
import { openPooler } from './pooler/listener.ts';
import { ownHost } from './postgres/own-host.ts';
import { sharedHost } from './postgres/shared-host.ts';
import { createStackFiles } from './stack/files.ts';
import { createStacks } from './stack/stacks.ts';
import { openState } from './state.ts';
import { openAuthority } from './tls/authority.ts';
import type { World } from './world.ts';

export type SandboxOptions = {
  /** Holds state, journal, certificate authority and, where possible, the databases. */
  dataDir: string;
  /** Port of the pretended Dokploy; 0 (default) takes a free one. */
  port?: number;
  gatewayHttpsPort?: number;
  gatewayHttpPort?: number;
  /** A server whose superuser this is; each stack is then a database there and roles are shared. Default: an own server per stack. */
  postgresUrl?: string;
  /** Faults to arm at the start; see `faultNames`. */
  faults?: string[];
  /** Instances that stand there deployed from the start; see instances/catalogue.ts. */
  instances?: string[];
  /** Default `v0.30.2`. */
  version?: string;
};

export type Sandbox = {
  url: string;
  apiKey: string;
  /** The certificate authority of the gateway: its file and its PEM text. */
  caFile: string;
  ca: string;
  gateway: Gateway;
  /** Port of the poolers on 127.0.0.1, in session mode; the user is `role.tenant`. */
  poolerPort: number;
  /** To be given to `dokploy add --resolve`. */
  resolve: string[];
  templateBaseUrl: string;
  journal(): JournalEntry[];
  /** What stands on the pretended server. */
  state(): ReturnType<typeof leftovers>;
  /** Replaces the armed faults; throws SANDBOX_FAULT_UNKNOWN. */
  setFaults(specs: readonly string[]): void;
  /** Ends everything that was started; with `discard` the sandbox's files go too. */
  stop(options?: { discard?: boolean }): Promise<void>;
};

const address = '127.0.0.1';

async function buildWorld(folder: SandboxFolder, options: SandboxOptions, signal: AbortSignal) {
  const faults = createFaults();
  faults.set(options.faults ?? []); // refused before anything is started
  const wanted = checkInstances(options.instances ?? []);
  const state = openState(folder.file('state.json'));
  const journal = openJournal(folder.file('journal.jsonl'));
  const host = options.postgresUrl === undefined ? await ownHost(folder.postgresRoot) : await sharedHost(options.postgresUrl);
  const files = createStackFiles(folder.file('files'));
  const stacks = createStacks({ state, faults, host, files, signal });
  await stacks.restore();
  const queue = createDeployQueue({ state, faults, journal, stacks, signal });
  const version = () => (faults.active('old-version') ? 'v0.24.0' : (options.version ?? 'v0.30.2'));
  const world: World = { state, faults, journal, stacks, files, queue, version, ip: address };
  faults.set([]);
  await placeInstances(world, wanted).catch(async (error: unknown) => {
    await stacks.close();
    throw error;
  });
  faults.set(options.faults ?? []);
  return world;
}

/** The node request behind a web request, so that a connection can be cut. */
type Bindings = { incoming: IncomingMessage };

function apiServer(world: World, apiKey: string) {
  const app = new Hono<{ Bindings: Bindings }>();
  const incoming = new WeakMap<Request, IncomingMessage>();
  app.use(async (c, next) => {
    incoming.set(c.req.raw, c.env.incoming);
    await next();
  });
  app.get('/api/health', (c) => c.json({ ok: true }, 200, { 'content-type': 'application/json; charset=utf-8' }));
  app.all('/api/:procedure', (c) => dispatch(world, apiKey, c.req.raw, c.req.param('procedure')));
  app.route('/__sandbox', controlRoutes(world, apiKey));
  app.route(
    '/',
    templateRoutes(world, (request) => incoming.get(request)?.socket.destroy()),
  );
  return createServer(getRequestListener((request, env) => app.fetch(request, env)));
}

/**
 * Starts a local twin of a Dokploy server that brings up a small Supabase.
 * Throws SANDBOX_NEEDS_POSTGRES, SANDBOX_POSTGRES_FAILED, SANDBOX_IN_USE, SANDBOX_FAULT_UNKNOWN, SANDBOX_INSTANCE_UNKNOWN and SANDBOX_INSTANCE_FAILED.
 */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const folder = await openFolder(options.dataDir);
  const ending = new AbortController();
  const undo: (() => Promise<void>)[] = [async () => folder.release(false)];
  const unwind = async () => {
    ending.abort();
    for (const step of undo.reverse()) await step();
  };
  try {
    const world = await buildWorld(folder, options, ending.signal);
    undo.push(() => world.stacks.close());
    const authority = openAuthority(folder.path);
    const listeners = await openGateway(world.stacks, authority, {
      https: options.gatewayHttpsPort ?? 0,
      http: options.gatewayHttpPort ?? 0,
    });
    undo.push(listeners.close);
    const pooler = await openPooler(world.stacks);
    undo.push(pooler.close);
    const server = apiServer(world, folder.apiKey);
    server.listen(options.port ?? 0, address);
    await once(server, 'listening');
    undo.push(async () => {
      await closeServer(server);
      await world.queue.idle();
    });
    // A TCP server's address is never a text.
    const url = `http://${address}:${(server.address() as AddressInfo).port}`;
    const { gateway } = listeners;
    let stopping: Promise<void> | undefined;
    return {
      url,
      apiKey: folder.apiKey,
      caFile: authority.caFile,
      ca: authority.ca,
      gateway,
      poolerPort: pooler.port,
      resolve: [`*:443:${address}:${gateway.httpsPort}`, `*:80:${address}:${gateway.httpPort}`],
      templateBaseUrl: url,
      journal: world.journal.entries,
      state: () => leftovers(world),
      setFaults: world.faults.set,
      stop({ discard = false } = {}) {
        stopping ??= unwind().then(() => (discard ? folder.release(true) : undefined));
        return stopping;
      },
    };
  } catch (error) {
    await unwind();
    throw error;
  }
}
