/** A certificate authority for one test, and certificates of any kind made by it, on the sandbox's certificate maker. */
import { createPrivateKey } from 'node:crypto';
import { keyText, makeCertificate, makeKeys } from '../../src/sandbox/tls/certificate.ts';

export type Issued = { key: string; cert: string };
export type IssueOptions = {
  names: string[];
  commonName?: string;
  /** Days until its end; negative (above -1) for an expired one. Default 30. */
  days?: number;
  selfSigned?: boolean;
};
export type Authority = { ca: string; issue(options: IssueOptions): Issued };

/** Makes an authority of its own key. */
export function createAuthority(commonName = 'Test CA'): Authority {
  const subject = { commonName };
  const root = makeKeys();
  const ca = makeCertificate({
    subject,
    issuer: subject,
    publicKey: root.publicKey,
    signingKey: root.privateKey,
    names: [],
    authority: true,
    days: 365,
  });
  return {
    ca,
    issue({ names, commonName: own, days = 30, selfSigned = false }) {
      const { publicKey, privateKey } = makeKeys();
      const leaf = { commonName: own ?? names[0] ?? 'test' };
      const signingKey = selfSigned ? privateKey : createPrivateKey(keyText(root.privateKey));
      const cert = makeCertificate({
        subject: leaf,
        issuer: selfSigned ? leaf : subject,
        publicKey,
        signingKey,
        names,
        authority: false,
        days,
      });
      return { cert, key: keyText(privateKey) };
    },
  };
}
