/**
 * Which backups a policy keeps. Pure. Invariants:
 * 1. A backup is kept when any rule of the policy keeps it.
 * 2. The newest verified one of each target, and the newest of all, are kept whatever the policy says.
 * 3. Days, weeks and months are those of UTC; weeks begin on Monday.
 */
export type Dated = { id: string; target: string; madeAt: number; verifiedAt: number | null };
export type Policy = {
  keepLast?: number | undefined;
  keepDays?: number | undefined;
  daily?: number | undefined;
  weekly?: number | undefined;
  monthly?: number | undefined;
};

const dayMs = 24 * 60 * 60_000;

/** Ids that may go. A policy without a rule lets nothing go. */
export function expired<B extends Dated>(backups: readonly B[], policy: Policy, now: number): B[] {
  if (Object.values(policy).every((rule) => rule === undefined)) return [];
  const keep = new Set<string>();
  for (const target of new Set(backups.map((each) => each.target))) {
    const own = backups.filter((each) => each.target === target).sort((a, b) => b.madeAt - a.madeAt || (a.id < b.id ? 1 : -1));
    const kept = [
      ...own.slice(0, Math.max(1, policy.keepLast ?? 0)),
      ...own.filter(({ verifiedAt }) => verifiedAt !== null).slice(0, 1),
      ...own.filter(({ madeAt }) => policy.keepDays !== undefined && madeAt > now - policy.keepDays * dayMs),
      ...newestOfEach(own, policy.daily, dayOf),
      ...newestOfEach(own, policy.weekly, weekOf),
      ...newestOfEach(own, policy.monthly, monthOf),
    ];
    for (const { id } of kept) keep.add(id);
  }
  return backups.filter(({ id }) => !keep.has(id));
}

/** `own` is newest first. */
function newestOfEach<B extends Dated>(own: readonly B[], periods: number | undefined, periodOf: (at: number) => string): B[] {
  const newest = new Map<string, B>();
  for (const each of own) {
    const period = periodOf(each.madeAt);
    if (!newest.has(period)) newest.set(period, each);
  }
  return [...newest.values()].slice(0, periods ?? 0);
}

const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10);
const monthOf = (at: number): string => new Date(at).toISOString().slice(0, 7);

/** The Monday of its week: 1 January 1970 was a Thursday. */
function weekOf(at: number): string {
  const day = Math.floor(at / dayMs);
  return dayOf((day - ((day + 3) % 7)) * dayMs);
}
