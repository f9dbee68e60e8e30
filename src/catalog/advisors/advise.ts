/** All lints over one catalog. Pure. */
import type { Catalog } from '../model.ts';
import { performanceLints } from './performance.ts';
import type { Category, Hit, Level, Lint } from './rule.ts';
import { securityLints } from './security.ts';

export const lints: readonly Lint[] = [...securityLints, ...performanceLints];
const levels: readonly Level[] = ['ERROR', 'WARN', 'INFO'];

/** One lint that found something: what it means, and how often. */
export type Advice = { lint: string; level: Level; category: Category; count: number; say: string; fix: string; hits: Hit[] };

/** Worst first; a lint without a hit is left out. */
export function advise(catalog: Catalog, category?: Category): Advice[] {
  return lints
    .filter((lint) => category === undefined || lint.category === category)
    .map(({ name, find, ...rest }) => ({ lint: name, ...rest, hits: find(catalog) }))
    .filter(({ hits }) => hits.length > 0)
    .map((advice) => ({ ...advice, count: advice.hits.length }))
    .sort((a, b) => levels.indexOf(a.level) - levels.indexOf(b.level));
}
