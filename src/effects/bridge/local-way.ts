/**
 * A bridge as a unix socket of this machine, for programs that speak to a Postgres and know nothing of bridges. Invariants:
 * 1. The socket lies in a folder of its own that only this user may enter, under the name that libpq looks for.
 * 2. Each connection is one stream through the bridge, ended with it from either side.
 * 3. `close` ends listener and streams and removes the folder. What a killed process left answers nobody, and is removed by the next one.
 */
import { lstat, mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import type { Held, Reach } from '../handler.ts';
import { type BridgeWay, openBridge } from './open-bridge.ts';

export type LocalWay = Held & {
  /** As libpq and pg take them; the host is the folder. */
  host: string;
  port: number;
};

const prefix = 'capstan-bridge-';
const port = 5432;
const socketName = `.s.PGSQL.${port}`;
/** Between its making and its socket a folder is empty for a moment. */
const emptyMs = 60_000;

/** Nothing goes to the bridge before the first connection. Whoever opens it closes it. */
export async function openLocalWay(way: BridgeWay, reach: Reach): Promise<LocalWay> {
  await sweep(tmpdir());
  const host = await mkdtemp(join(tmpdir(), prefix)); // 0700
  const sockets = new Set<Socket>();
  let refused: AppError | undefined;
  let carried = 0;
  let torn = false;
  let closing: Promise<void> | undefined;

  const known = (socket: Socket): void => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
  };

  async function carry(client: Socket): Promise<void> {
    known(client);
    const stream = await openBridge(way, reach).catch((error: unknown) => {
      refused = error instanceof AppError ? error : undefined;
      client.destroy();
    });
    if (stream === undefined) return;
    known(stream);
    carried += 1;
    if (closing || client.destroyed) return void stream.destroy();
    let ended = false;
    client.once('end', () => {
      ended = true;
    });
    client.once('close', () => stream.destroySoon());
    stream.once('close', () => {
      torn ||= !ended && closing === undefined;
      client.destroySoon();
    });
    stream.pipe(client).pipe(stream);
  }

  const server = createServer({ pauseOnConnect: true }, (client) => void carry(client));
  try {
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(join(host, socketName), resolve));
  } catch (error) {
    await rm(host, { recursive: true, force: true });
    throw error;
  }

  async function end(): Promise<void> {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    await closed;
    await rm(host, { recursive: true, force: true });
  }

  return {
    host,
    port,
    /** A stream that the far side ended may have been ended by Postgres: whether the bridge stands is asked. */
    async whyBroken() {
      if (refused && carried === 0) return refused;
      if (refused) return brokeOff(way, refused);
      if (!torn) return undefined;
      try {
        (await openBridge(way, reach)).destroy();
        return undefined;
      } catch (error) {
        return error instanceof AppError ? brokeOff(way, error) : undefined;
      }
    },
    close() {
      closing ??= end();
      return closing;
    },
  };
}

function brokeOff({ url }: BridgeWay, cause: AppError): AppError {
  return new AppError('BRIDGE_BROKE_OFF', {
    message: `The bridge at ${new URL(url).origin} broke off in the middle of the work: ${cause.message}`,
    fix: 'Look at the service capstan-bridge in Dokploy and deploy it again there, or remove it and install a bridge anew; then retry.',
    retry: 'later',
    applied: 'unknown',
    details: { why: cause.code },
    cause,
  });
}

/** Folders of this user at whose socket nobody listens. */
async function sweep(parent: string): Promise<void> {
  const names = (await readdir(parent)).filter((name) => name.startsWith(prefix));
  for (const folder of names.map((name) => join(parent, name))) {
    const found = await lstat(folder).catch(() => undefined); // another process may have been faster
    if (!found?.isDirectory() || found.uid !== process.getuid?.()) continue;
    const answer = await knock(join(folder, socketName));
    if (answer === 'ECONNREFUSED' || (answer === 'ENOENT' && Date.now() - found.mtimeMs > emptyMs))
      await rm(folder, { recursive: true, force: true });
  }
}

/** `open`, or the code of the refusal. */
function knock(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve('open');
    });
    socket.on('error', (error) => resolve('code' in error ? String(error.code) : ''));
  });
}
