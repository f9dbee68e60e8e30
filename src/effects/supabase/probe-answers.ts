/** Which side refused: the gateway in front, the service behind it, or the check of the key's signature. Pure; the texts are from facts §1.6. */

export type ProbeSide = 'gateway' | 'upstream' | 'signature' | 'dns' | 'tls' | 'none';

/** Why a key was refused, as far as the answer tells. */
export type RefusalReason = 'no-key' | 'unknown-key' | 'wrong-signature' | 'expired' | 'no-right' | 'other';

export type RefusalJudgement = { side: ProbeSide; reason: RefusalReason; say: string };

const RULES: (RefusalJudgement & { test: RegExp })[] = [
  { test: /No API key found in request/i, side: 'gateway', reason: 'no-key', say: 'The gateway saw no key.' },
  {
    test: /Invalid authentication credentials|"message"\s*:\s*"Unauthorized"|RBAC: access denied/i,
    side: 'gateway',
    reason: 'unknown-key',
    say: 'The gateway does not know this key: it compares it literally with the one it was started with, so redeploy after a change of keys.',
  },
  {
    test: /You cannot consume this service/i,
    side: 'gateway',
    reason: 'no-right',
    say: 'The gateway knows the key, but not for this route.',
  },
  { test: /no Route matched/i, side: 'gateway', reason: 'other', say: 'The gateway has no route for this path.' },
  {
    test: /^404 page not found/i,
    side: 'gateway',
    reason: 'other',
    say: 'The proxy does not know this host: the domain is not routed to the gateway, or not yet.',
  },
  { test: /JWT expired|PGRST303|token is expired/i, side: 'signature', reason: 'expired', say: 'The key has expired.' },
  {
    test: /PGRST30[0-2]|JWSError|JWSInvalidSignature|bad_jwt|invalid JWT|signature is invalid|verify signature/i,
    side: 'signature',
    reason: 'wrong-signature',
    say: 'The service behind refuses the key’s signature: the key was not made with the JWT secret that the service was started with.',
  },
  {
    test: /not_admin|User not allowed/i,
    side: 'signature',
    reason: 'no-right',
    say: 'The service behind accepts the signature, but the key does not carry the role service_role.',
  },
  {
    test: /name resolution failed|ring-balancer|upstream server|upstream connect error|no healthy upstream/i,
    side: 'upstream',
    reason: 'other',
    say: 'The gateway does not reach the service behind it.',
  },
];

/** Reads an answer that is no 200. */
export function judgeRefusal({ status, text }: { status: number; text: string }): RefusalJudgement {
  const rule = RULES.find(({ test }) => test.test(text));
  if (rule) return { side: rule.side, reason: rule.reason, say: rule.say };
  if (status >= 500) return { side: 'upstream', reason: 'other', say: 'The service behind the gateway fails or is still starting.' };
  if (status >= 300 && status < 400) {
    return { side: 'gateway', reason: 'other', say: 'The request is redirected, and keys do not follow redirects; use the final address.' };
  }
  if (status === 401 || status === 403) return { side: 'upstream', reason: 'other', say: 'The service behind the gateway refuses it.' };
  return { side: 'gateway', reason: 'other', say: 'The path leads nowhere.' };
}
