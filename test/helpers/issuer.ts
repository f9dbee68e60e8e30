/** An authorization server as far as a resource server meets it: its metadata, its keys, its tokens. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

export type Issuer = {
  url: string;
  /** A signed token; what is given overrides what is right. */
  token(claims: Record<string, unknown>, sign?: { strange?: boolean; expired?: boolean }): Promise<string>;
  close(): Promise<void>;
};

export async function startIssuer(audience: string): Promise<Issuer> {
  const [known, strange] = [await generateKeyPair('ES256', { extractable: true }), await generateKeyPair('ES256', { extractable: true })];
  const jwk = { ...(await exportJWK(known.publicKey)), kid: 'one', alg: 'ES256', use: 'sig' };
  const server = createServer((request, response) => {
    const { port } = server.address() as AddressInfo; // it listens
    const documents: Record<string, unknown> = {
      '/.well-known/oauth-authorization-server': { issuer: `http://127.0.0.1:${port}`, jwks_uri: `http://127.0.0.1:${port}/keys` },
      '/keys': { keys: [jwk] },
    };
    const found = documents[request.url ?? ''];
    response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(found ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // it listens
  return {
    url,
    async token(claims, { strange: foreign = false, expired = false } = {}) {
      const now = Math.floor(Date.now() / 1000);
      const payload = { iss: url, aud: audience, sub: 'sub-1', iat: now - 600, exp: now + (expired ? -60 : 600), ...claims };
      const given = Object.fromEntries(Object.entries(payload).filter(([, value]) => value !== undefined));
      return new SignJWT(given).setProtectedHeader({ alg: 'ES256', kid: 'one' }).sign(foreign ? strange.privateKey : known.privateKey);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
