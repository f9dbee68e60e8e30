import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { inspectCertificate } from '../../src/effects/tls/certificate.ts';
import { createAuthority, type IssueOptions } from '../helpers/certificates.ts';
import { type FakeServer, startFakeServer } from '../helpers/fake-dokploy.ts';

const authority = createAuthority('Lab CA');
const open: (() => Promise<unknown>)[] = [];
afterEach(() => Promise.all(open.splice(0).map((close) => close())));

async function serve(options: IssueOptions): Promise<{ server: FakeServer; resolve: string[] }> {
  const server = await startFakeServer(authority.issue(options));
  open.push(() => server.close());
  return { server, resolve: [`db.test:443:127.0.0.1:${server.port}`] };
}

describe('the certificate of a host', () => {
  it('is valid for the name and the CA that the reach knows, with its days left', async () => {
    const { resolve } = await serve({ names: ['db.test'], days: 30 });
    const now = () => Date.now() - 60_000;
    const seen = await inspectCertificate('db.test', 443, { ca: authority.ca, resolve }, { now });
    expect(seen).toMatchObject({ state: 'valid', issuer: 'Lab CA', subject: 'db.test', daysLeft: 30 });
    expect(seen.state === 'valid' && Date.parse(seen.expiresAt)).toBeGreaterThan(Date.now() + 29 * 86_400_000);
  });

  it.each<[string, IssueOptions]>([
    ['default', { names: ['x.traefik.default'], commonName: 'TRAEFIK DEFAULT CERT', selfSigned: true }],
    ['self-signed', { names: ['db.test'], selfSigned: true }],
    ['wrong-name', { names: ['other.test'] }],
    ['expired', { names: ['db.test'], days: -0.5 }],
  ])('is %s', async (state, options) => {
    const { resolve, server } = await serve(options);
    const seen = await inspectCertificate('db.test', 443, { ca: authority.ca, resolve });
    expect(seen).toMatchObject({ state, say: expect.stringContaining('db.test') });
    expect(server.asked).toHaveLength(0);
  });

  it('is untrusted when its authority is not known', async () => {
    const { resolve } = await serve({ names: ['db.test'] });
    expect(await inspectCertificate('db.test', 443, { resolve })).toMatchObject({ state: 'untrusted' });
  });

  it('is unreachable where nothing listens, where no TLS is spoken and where nobody answers', async () => {
    const { server, resolve } = await serve({ names: ['db.test'] });
    await server.close();
    expect(await inspectCertificate('db.test', 443, { resolve })).toMatchObject({ state: 'unreachable' });
    const plain = await startFakeServer();
    open.push(() => plain.close());
    expect(await inspectCertificate('127.0.0.1', plain.port, {})).toMatchObject({ state: 'unreachable' });
    const silent = await startSilent();
    expect(await inspectCertificate('127.0.0.1', silent, {}, { timeoutMs: 100 })).toMatchObject({ state: 'unreachable' });
  });

  it('is not looked at after the signal, nor at a metadata address', async () => {
    const silent = await startSilent();
    const control = new AbortController();
    const pending = inspectCertificate('127.0.0.1', silent, {}, { signal: control.signal });
    control.abort(new Error('stop'));
    await expect(pending).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(inspectCertificate('169.254.169.254', 443, {})).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
    await expect(inspectCertificate('127.0.0.1', silent, {}, { refusePrivate: true })).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
  });
});

async function startSilent(): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => void sockets.add(socket.on('error', () => {})));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
