/** JSON Web Tokens, only as far as a diagnosis needs them. Pure; never throws. */

export type Token = {
  text: string;
  algorithm: string | null;
  claims: Readonly<Record<string, unknown>>;
  /** Header and payload as written: what the signature is over. */
  signed: string;
  signature: string;
};

/** HMAC-SHA256 over UTF-8 bytes, as base64url; handed in so that the doctor needs no library. */
export type Hmac = (secret: string, text: string) => string;

/** Undefined for anything that is no token of three parts. */
export function readToken(text: string): Token | undefined {
  const parts = text.split('.');
  const [head, body, signature] = parts;
  if (parts.length !== 3 || head === undefined || body === undefined || signature === undefined) return undefined;
  const header = readPart(head);
  const claims = readPart(body);
  if (!header || !claims) return undefined;
  const algorithm = header['alg'];
  return { text, algorithm: typeof algorithm === 'string' ? algorithm : null, claims, signed: `${head}.${body}`, signature };
}

export function textClaim(token: Token, name: string): string | undefined {
  const value = token.claims[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** The claims without the time of issue, in one comparable form. */
export function claimsWithoutTime({ claims }: Token): string {
  return JSON.stringify(
    Object.entries(claims)
      .filter(([name]) => name !== 'iat')
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function readPart(part: string): Record<string, unknown> | undefined {
  if (!/^[A-Za-z0-9_-]+$/.test(part)) return undefined;
  return readObject(Buffer.from(part, 'base64url').toString('utf8'));
}

/** A JSON object, or undefined for anything else. */
export function readObject(text: string): Record<string, unknown> | undefined {
  const value = readJson(text);
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
}

/** Any JSON value; undefined for text that is none. */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
