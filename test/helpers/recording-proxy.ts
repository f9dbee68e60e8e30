/** Stands before a server and keeps the bodies of every request, unlike the sandbox's own journal, which keeps no long text. */
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

export type RecordingProxy = { url: string; bodies: { path: string; body: string }[]; close(): Promise<void> };

export async function openRecordingProxy(target: string): Promise<RecordingProxy> {
  const bodies: RecordingProxy['bodies'] = [];
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    const onward = request(new URL(incoming.url ?? '/', target), { method: incoming.method, headers: incoming.headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    incoming.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      onward.write(chunk);
    });
    incoming.on('end', () => {
      bodies.push({ path: incoming.url ?? '', body: Buffer.concat(chunks).toString('utf8') });
      onward.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // a TCP server's address is never a text
  return {
    url: `http://127.0.0.1:${port}`,
    bodies,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
