/**
 * An agent's word for its person (engine.md A2): the lowest level, which proves no person, and off unless the owner switched it on. Invariants:
 * 1. A token is a signature over one open request and over whom it was shown to: nobody else can make one, and it fits nothing else.
 * 2. It is derived, never stored. The request that it answers is used once, so a token is too.
 * 3. Production never: no target tagged so or with a sealed tag, and no run whose context names such a tag.
 */
import type { ApprovalRow, Crypto } from './ports.ts';

/** Kept from agents even where the owner took the tag out of `sealedTags`. */
export const productionTag = 'production';

const form = /^yes_([0-9a-f-]{36})_([0-9a-f]{64})$/;

export function tokenOf(crypto: Pick<Crypto, 'sign'>, row: ApprovalRow, principal: string): string {
  return `yes_${row.id}_${crypto.sign(tokenText(row, principal))}`;
}

/** True for the token that this principal was shown for this very request. */
export function isTokenOf(crypto: Pick<Crypto, 'verify'>, row: ApprovalRow, principal: string, token: string): boolean {
  const [, id, signature] = form.exec(token) ?? [];
  return id === row.id && signature !== undefined && crypto.verify(tokenText(row, principal), signature);
}

/** The request that a token says it answers, or undefined for what is no token. */
export function requestIn(token: string): string | undefined {
  return form.exec(token)?.[1];
}

function tokenText(row: ApprovalRow, principal: string): string {
  const { id, runId, version, kind, event, payloadHash, definitionHash, planHash, requestedBy, expiresAt } = row;
  return JSON.stringify([
    'capstan approval token',
    [id, runId, version, kind, event, payloadHash, definitionHash, planHash, requestedBy, expiresAt],
    principal,
  ]);
}
