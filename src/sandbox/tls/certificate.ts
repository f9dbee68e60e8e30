import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import { bits, boolean, integer, octets, oid, sequence, set, tagged, utcTime, utf8 } from './der.ts';

const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'));

export type Subject = { commonName: string; organization?: string };

export type CertificateRequest = {
  subject: Subject;
  issuer: Subject;
  publicKey: KeyObject;
  /** Key of the issuer. */
  signingKey: KeyObject;
  /** DNS names or IP addresses; none for an authority. */
  names: string[];
  authority: boolean;
  days: number;
};

const name = (subject: Subject): Buffer => {
  const part = (id: string, text: string) => set(sequence(oid(id), utf8(text)));
  const organization = subject.organization === undefined ? [] : [part('2.5.4.10', subject.organization)];
  return sequence(...organization, part('2.5.4.3', subject.commonName));
};

const extension = (id: string, content: Buffer, critical = false): Buffer =>
  sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(content));

const alternativeName = (host: string): Buffer =>
  isIP(host) === 4 ? tagged(7, Buffer.from(host.split('.').map(Number)), true) : tagged(2, Buffer.from(host, 'ascii'), true);

const keyId = (key: KeyObject): Buffer =>
  createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest();

function extensions(request: CertificateRequest): Buffer[] {
  const shared = [
    extension('2.5.29.14', octets(keyId(request.publicKey))),
    extension('2.5.29.35', sequence(tagged(0, keyId(createPublicKey(request.signingKey)), true))),
  ];
  if (request.authority) {
    // keyCertSign and cRLSign are bits 5 and 6.
    const usage = extension('2.5.29.15', bits(Buffer.from([0x06]), 1), true);
    return [extension('2.5.29.19', sequence(boolean(true)), true), usage, ...shared];
  }
  return [
    extension('2.5.29.19', sequence(), true),
    // digitalSignature is bit 0.
    extension('2.5.29.15', bits(Buffer.from([0x80]), 7), true),
    extension('2.5.29.37', sequence(oid('1.3.6.1.5.5.7.3.1'))),
    extension('2.5.29.17', sequence(...request.names.map(alternativeName))),
    ...shared,
  ];
}

/** A signed X.509 v3 certificate as PEM (RFC 5280), valid from one day ago for the given days. */
export function makeCertificate(request: CertificateRequest): string {
  const day = 86_400_000;
  const now = Date.now();
  const serial = randomBytes(16);
  // A positive number without a leading zero byte.
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  const body = sequence(
    tagged(0, integer(Buffer.from([2]))),
    integer(serial),
    ecdsaWithSha256,
    name(request.issuer),
    sequence(utcTime(new Date(now - day)), utcTime(new Date(now + request.days * day))),
    name(request.subject),
    request.publicKey.export({ type: 'spki', format: 'der' }),
    tagged(3, sequence(...extensions(request))),
  );
  const der = sequence(body, ecdsaWithSha256, bits(sign('sha256', body, request.signingKey)));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

/** A fresh P-256 key pair. */
export const makeKeys = (): { publicKey: KeyObject; privateKey: KeyObject } => generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** PKCS #8 PEM text of a private key. */
export const keyText = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();
