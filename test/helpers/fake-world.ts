/** An outside system in its own process: it applies, counts by key, and keeps the journal that tests judge by. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export type WorldEntry = { op: 'apply' | 'undo'; key: string; name: string };
export type WorldState = { journal: WorldEntry[]; standing: Record<string, string> };

/** Behaviours of the next call per effect name: answer lost, refused, applied late, cannot be asked. */
export type WorldFault = 'lose-answer' | 'refuse' | 'fail-before' | 'late' | 'deaf-probe';

/** Starts the world in this process; `fake-world.js` as a program prints its port. */
export async function startWorld(): Promise<{ url: string; state: () => WorldState; close: () => Promise<void> }> {
  const journal: WorldEntry[] = [];
  const standing = new Map<string, string>();
  const faults = new Map<string, { fault: WorldFault; left: number; ms: number }>();
  const state = (): WorldState => ({ journal: [...journal], standing: Object.fromEntries(standing) });
  const take = (name: string, kinds: WorldFault[]) => {
    const found = faults.get(name);
    if (!found || found.left === 0 || !kinds.includes(found.fault)) return undefined;
    found.left--;
    return found;
  };
  const apply = (key: string, name: string) => {
    journal.push({ op: 'apply', key, name });
    standing.set(key, name);
  };
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://world');
    const send = (status: number, body: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    const { key = '', name = '', fault, left = 1, ms = 0 } = await readBody(request);
    if (url.pathname === '/state') return send(200, state());
    if (url.pathname === '/fault') {
      faults.set(name, { fault: fault as WorldFault, left, ms });
      return send(200, {});
    }
    if (url.pathname === '/probe') {
      if (take(name, ['deaf-probe'])) return send(500, {});
      return send(200, { standing: standing.has(key) });
    }
    if (url.pathname === '/undo') {
      if (take(`undo ${name}`, ['refuse', 'fail-before'])) return send(503, {});
      if (standing.delete(key)) journal.push({ op: 'undo', key, name });
      if (take(`undo ${name}`, ['lose-answer'])) return request.socket.destroy();
      return send(200, {});
    }
    const hit = take(name, ['lose-answer', 'refuse', 'fail-before', 'late']);
    if (hit?.fault === 'refuse') return send(400, {});
    if (hit?.fault === 'fail-before') return send(500, {});
    if (hit?.fault === 'late') {
      setTimeout(() => apply(key, name), hit.ms);
      return request.socket.destroy();
    }
    apply(key, name);
    if (hit?.fault === 'lose-answer') return request.socket.destroy();
    return send(200, { id: `${name}-1` });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // listening on TCP
  return {
    url: `http://127.0.0.1:${port}`,
    state,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

type Body = { key?: string; name?: string; fault?: string; left?: number; ms?: number };

async function readBody(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer); // node:http gives buffers
  return chunks.length === 0 ? {} : (JSON.parse(Buffer.concat(chunks).toString()) as Body);
}

export async function askWorld<T>(url: string, path: string, body: Body = {}): Promise<T> {
  const answer = await fetch(`${url}${path}`, { method: 'POST', body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`the world said ${answer.status}`);
  return (await answer.json()) as T;
}
