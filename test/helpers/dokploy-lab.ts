/** What the tests of the Dokploy client share: a collector of errors that proves no secret is in them, and recorded answers. */
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { expect } from 'vitest';
import { AppError, toRecord } from '../../src/errors.ts';
import { CANARY_KEY, type Scripted } from './fake-dokploy.ts';

/** A secret that a server repeats in its answers. */
export const PLANTED = 'plantedSecretValue77';

const seen: AppError[] = [];

/** The AppError that some work ends with; it is kept for `expectNoSecretInErrors`. */
export async function errorOf(work: Promise<unknown>): Promise<AppError> {
  const thrown = await work.then(
    () => null,
    (error: unknown) => error,
  );
  if (!(thrown instanceof AppError)) throw new Error(`expected an AppError, got ${String(thrown)}`);
  seen.push(thrown);
  return thrown;
}

/** Every error seen so far, in every form in which one can be shown, is free of the key and the planted secret. */
export function expectNoSecretInErrors(atLeast: number): void {
  expect(seen.length).toBeGreaterThanOrEqual(atLeast);
  for (const error of seen) {
    const shown = [
      JSON.stringify(error),
      JSON.stringify(toRecord(error)),
      inspect(error, { depth: 20, showHidden: true }),
      String(error.stack),
    ].join('\n');
    expect(shown).not.toContain(CANARY_KEY);
    expect(shown).not.toContain(PLANTED);
  }
}

type Fixture = { name: string; body: Record<string, unknown> };
const fixtures: Fixture[] = JSON.parse(readFileSync(new URL('../fixtures/dokploy-answers.json', import.meta.url), 'utf8'));

/** A recorded answer as it is. */
export function recorded(name: string): unknown {
  const found = fixtures.find((each) => each.name === name);
  if (!found) throw new Error(`no fixture ${name}`);
  return found.body;
}

/** A recorded object with some fields changed. */
export function body(name: string, change: Record<string, unknown> = {}): Record<string, unknown> {
  return { ...Object(recorded(name)), ...change };
}

/** A row of deployment.allByCompose. */
export function deployment(description: string, change: Record<string, unknown> = {}): Record<string, unknown> {
  return { deploymentId: 'd1', title: 'Capstan', description, status: 'running', createdAt: '2026-11-22T07:37:36.077Z', ...change };
}

/** An error as Dokploy answers it. */
export const vendorError = (status: number, message: string, path?: string): Scripted => ({
  status,
  json: { message, code: 'X', data: { code: 'X', httpStatus: status, ...(path ? { path } : {}) } },
});
