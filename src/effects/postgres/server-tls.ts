import { type ConnectionOptions, checkServerIdentity } from 'node:tls';
import type { Reach } from '../handler.ts';
import { trustedRoots } from '../http/reach.ts';
import type { SqlAddress } from './address.ts';

/** As libpq: `require` encrypts without checking unless an authority is given, `verify-ca` checks the chain, `verify-full` the name too. */
export function serverTls(
  { host, ssl }: Pick<SqlAddress, 'host' | 'ssl'>,
  reach: Reach,
): Pick<ConnectionOptions, 'ca' | 'rejectUnauthorized' | 'servername' | 'checkServerIdentity'> {
  const ca = trustedRoots(reach);
  const checked = ssl === 'verify-ca' || ssl === 'verify-full' || (ssl === 'require' && reach.ca !== undefined);
  return {
    ...(ca === undefined ? {} : { ca }),
    rejectUnauthorized: checked,
    servername: host,
    checkServerIdentity: (_name, certificate) => (ssl === 'verify-full' ? checkServerIdentity(host, certificate) : undefined),
  };
}
