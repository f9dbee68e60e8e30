import { z } from 'zod';

/**
 * Rules for a project's name: it becomes part of host names, container names and volumes, so it is chosen once and early.
 * 1. `^[a-z][a-z0-9-]{0,31}$`. 2. Not one of the reserved names. 3. Every suggestion obeys both.
 */
const pattern = /^[a-z][a-z0-9-]{0,31}$/;

export const reservedNames: readonly string[] = ['postgres', 'supabase', 'admin', 'root'];

/** Why a name is refused, or null when it may be used. */
export function nameFault(name: string): string | null {
  if (reservedNames.includes(name)) return `"${shown(name)}" is a reserved name`;
  if (name.length > 32) return `the name has ${name.length} characters; 32 are allowed`;
  if (!pattern.test(name))
    return `"${shown(name)}" is not a project name: it starts with a small letter and goes on with small letters, digits and hyphens`;
  return null;
}

/** The nearest allowed name: `My Project` becomes `my-project`, `1abc` becomes `p1abc`, `postgres` becomes `postgres-app`. */
export function suggestName(text: string): string {
  const plain = text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/\p{M}/gu, '')
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+/, '');
  const led = /^[a-z]/.test(plain) ? plain : plain === '' ? 'my-project' : `p${plain}`;
  const named = reservedNames.includes(trimmed(led)) ? `${trimmed(led)}-app` : led;
  return trimmed(named);
}

/** The next free variant of a taken name: `shop`, `shop-2`, `shop-3`; always within 32 characters. */
export function suggestFreeName(name: string, taken: ReadonlySet<string>): string {
  const base = suggestName(name);
  if (!taken.has(base)) return base;
  for (let n = 2; ; n++) {
    const suffix = `-${n}`;
    const candidate = `${base.slice(0, 32 - suffix.length).replace(/-+$/, '')}${suffix}`;
    if (!taken.has(candidate)) return candidate;
  }
}

/** Accepts a good name; a bad one is refused with the reason and a suggestion. */
export const projectName = z
  .string()
  .max(200)
  .regex(pattern, { error: (issue) => refusal(issue.input) })
  .refine((name) => !reservedNames.includes(name), { error: (issue) => refusal(issue.input) })
  .describe(
    'Project name: small letters, digits and hyphens, starting with a letter, at most 32 characters; not postgres, supabase, admin or root',
  );

function refusal(input: unknown): string {
  const text = typeof input === 'string' ? input : '';
  return `${nameFault(text) ?? 'The name is not allowed'}. Try "${suggestName(text)}".`;
}

/** Quoted in a sentence: short, printable. */
function shown(name: string): string {
  return name.slice(0, 40).replace(/[^\x20-\x7e]/g, '?');
}

function trimmed(name: string): string {
  return name.slice(0, 32).replace(/-+$/, '');
}
