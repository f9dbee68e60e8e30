/** A storage service as storage-api answers (bucket list, objects by name, failures as 400 with the real status inside), with a journal of its own. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

export type FakeObject = { bytes: Buffer | { size: number; chunk: Buffer }; type: string; cache: string };
export type FakeStorage = {
  url: string;
  key: string;
  /** By `bucket/name`. */
  objects: Map<string, FakeObject>;
  journal: string[];
  close(): Promise<void>;
};

export async function startFakeStorage(): Promise<FakeStorage> {
  const objects: FakeStorage['objects'] = new Map();
  const journal: string[] = [];
  const key = `service-${createHash('sha256').update(String(process.hrtime.bigint())).digest('hex').slice(0, 24)}`;
  const failure = (response: ServerResponse, statusCode: string, error: string) =>
    response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ statusCode, error, message: error }));

  async function give(response: ServerResponse, { bytes, type, cache }: FakeObject) {
    const size = Buffer.isBuffer(bytes) ? bytes.length : bytes.size;
    response.writeHead(200, { 'content-length': size, 'content-type': type, 'cache-control': cache, etag: '"x"' });
    if (Buffer.isBuffer(bytes)) return response.end(bytes);
    for (let left = bytes.size; left > 0; left -= bytes.chunk.length)
      if (!response.write(bytes.chunk.subarray(0, Math.min(left, bytes.chunk.length)))) await once(response, 'drain');
    return response.end();
  }

  async function handle(request: IncomingMessage, response: ServerResponse) {
    const path = (request.url ?? '').replace(/^\/storage\/v1/, '');
    journal.push(`${request.method} ${decodeURIComponent(path)}`);
    if (request.headers.authorization !== `Bearer ${key}`) return failure(response, '403', 'Unauthorized');
    if (path === '/bucket') return response.writeHead(200, { 'content-type': 'application/json' }).end('[]');
    const name = decodeURIComponent(path.replace(/^\/object\/(authenticated\/)?/, ''));
    if (request.method === 'GET') {
      const found = objects.get(name);
      return found ? give(response, found) : failure(response, '404', 'not_found');
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer); // a request's stream gives buffers
    const type = request.headers['content-type'] ?? '';
    objects.set(name, { bytes: Buffer.concat(chunks), type, cache: request.headers['cache-control'] ?? 'no-cache' });
    return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ Key: name }));
  }

  const server = createServer((request, response) => void handle(request, response).catch(() => response.destroy()));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    key,
    objects,
    journal,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
