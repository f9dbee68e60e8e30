import { createPrivateKey, createPublicKey } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext, type SecureContext } from 'node:tls';
import { keyText, makeCertificate, makeKeys } from './certificate.ts';

export type Authority = {
  /** PEM of the authority, to be trusted by clients. */
  ca: string;
  caFile: string;
  /** What Traefik serves for a host it has no certificate for. */
  fallback: { cert: string; key: string };
  /** A certificate of our authority for one host; made once per host. */
  contextFor(host: string): SecureContext;
};

const caSubject = { commonName: 'Capstan Sandbox CA', organization: 'Capstan Sandbox' };

function loadOrMakeCa(folder: string): { ca: string; caKey: string } {
  const [certFile, keyFile] = [join(folder, 'ca.pem'), join(folder, 'ca.key')];
  if (existsSync(certFile) && existsSync(keyFile)) return { ca: readFileSync(certFile, 'utf8'), caKey: readFileSync(keyFile, 'utf8') };
  const { publicKey, privateKey } = makeKeys();
  const ca = makeCertificate({
    subject: caSubject,
    issuer: caSubject,
    publicKey,
    signingKey: privateKey,
    names: [],
    authority: true,
    days: 3650,
  });
  writeFileSync(keyFile, keyText(privateKey), { mode: 0o600 });
  writeFileSync(certFile, ca, { mode: 0o644 });
  return { ca, caKey: keyText(privateKey) };
}

function makeFallback(): { cert: string; key: string } {
  const { publicKey, privateKey } = makeKeys();
  const subject = { commonName: 'TRAEFIK DEFAULT CERT' };
  const names = ['traefik.default'];
  const cert = makeCertificate({ subject, issuer: subject, publicKey, signingKey: privateKey, names, authority: false, days: 365 });
  return { cert, key: keyText(privateKey) };
}

/** Opens the sandbox's own certificate authority; it is kept in the folder over restarts. */
export function openAuthority(folder: string): Authority {
  const { ca, caKey } = loadOrMakeCa(folder);
  const signingKey = createPrivateKey(caKey);
  const contexts = new Map<string, SecureContext>();
  return {
    ca,
    caFile: join(folder, 'ca.pem'),
    fallback: makeFallback(),
    contextFor(host) {
      const known = contexts.get(host);
      if (known !== undefined) return known;
      const { privateKey } = makeKeys();
      const publicKey = createPublicKey(privateKey);
      const subject = { commonName: host };
      const cert = makeCertificate({ subject, issuer: caSubject, publicKey, signingKey, names: [host], authority: false, days: 90 });
      const context = createSecureContext({ cert: cert + ca, key: keyText(privateKey) });
      contexts.set(host, context);
      return context;
    },
  };
}
