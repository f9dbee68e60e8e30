/** Pure: what an error code of TLS means for people, shared by requests and by the look at a certificate. */

export type TlsFault = 'self-signed' | 'wrong-name' | 'expired' | 'untrusted' | 'handshake';

const FAULTS: Record<string, TlsFault> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'untrusted',
  ERR_TLS_CERT_ALTNAME_INVALID: 'wrong-name',
  HOSTNAME_MISMATCH: 'wrong-name',
  CERT_HAS_EXPIRED: 'expired',
  CERT_NOT_YET_VALID: 'expired',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'untrusted',
  UNABLE_TO_GET_ISSUER_CERT: 'untrusted',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'untrusted',
  CERT_UNTRUSTED: 'untrusted',
  CERT_REVOKED: 'untrusted',
  CERT_SIGNATURE_FAILURE: 'untrusted',
  CERT_CHAIN_TOO_LONG: 'untrusted',
  INVALID_CA: 'untrusted',
  INVALID_PURPOSE: 'untrusted',
  PATH_LENGTH_EXCEEDED: 'untrusted',
  EPROTO: 'handshake',
};

/** The kind of TLS trouble behind an error code; null when the code is not about TLS. */
export function tlsFaultOf(code: string): TlsFault | null {
  return FAULTS[code] ?? (/^(ERR_SSL_|ERR_TLS_|ERR_OSSL_)/.test(code) ? 'handshake' : null);
}

export type TlsFaultText = { code: string; say: string; fix: string };

/** Code, sentence and next step for a TLS fault on a host. */
export function describeTlsFault(fault: TlsFault, host: string): TlsFaultText {
  switch (fault) {
    case 'self-signed':
      return {
        code: 'TLS_SELF_SIGNED',
        say: `The certificate of ${host} is self-signed, so nobody vouches for it.`,
        fix: 'Give its authority with --ca FILE, or let the server get a certificate from Let’s Encrypt.',
      };
    case 'wrong-name':
      return {
        code: 'TLS_WRONG_NAME',
        say: `The certificate of ${host} is made out to another name.`,
        fix: 'Use the name that the certificate carries, or have one issued for this name.',
      };
    case 'expired':
      return {
        code: 'TLS_EXPIRED',
        say: `The certificate of ${host} is expired or not yet valid.`,
        fix: 'Renew the certificate, and check the clocks of both machines.',
      };
    case 'untrusted':
      return {
        code: 'TLS_UNKNOWN_CA',
        say: `The certificate of ${host} comes from an authority that is not trusted here.`,
        fix: 'Give that authority’s certificate with --ca FILE.',
      };
    case 'handshake':
      return {
        code: 'TLS_FAILED',
        say: `The encrypted connection to ${host} could not be set up.`,
        fix: 'Check that this port speaks https; a plain http service needs an http:// address.',
      };
    default: {
      const never: never = fault;
      return never;
    }
  }
}
