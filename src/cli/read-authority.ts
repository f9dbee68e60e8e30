import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { AppError } from '../errors.ts';

/** The PEM text of a certificate file. Throws CA_INVALID. */
export function readAuthority(path: string): string {
  try {
    const pem = readFileSync(path, 'utf8');
    new X509Certificate(pem); // throws for anything but a certificate
    return pem;
  } catch (cause) {
    throw new AppError('CA_INVALID', {
      message: `The file ${path} holds no certificate in PEM form.`,
      fix: 'Give the file of the certificate authority; it starts with -----BEGIN CERTIFICATE-----.',
      cause,
    });
  }
}
