/**
 * What the owner has laid down about approvals (engine.md A2). Pure. Invariants:
 * 1. A run concerns a target when one of its locks or a whole text of its context names it: too many is asked more, never less.
 * 2. A target with a sealed tag takes nothing but the approver's seal, or a rule that names that tag.
 * 3. A rule covers the confirmed events of its workflow, never a rollback or a cancel, and never a run without a registered target.
 */
import type { KnownTarget, StandingRule } from './approver-port.ts';
import type { ApprovalRow } from './ports.ts';

/** Deep enough for a workflow's input and its answers, which machines keep near the top of their context. */
const depth = 3;
/** Tags of a target that is not registered yet may lie deeper. */
const deeper = 6;

/** The registered targets that a run works on. */
export function concerned(context: unknown, locks: readonly string[], known: readonly KnownTarget[]): KnownTarget[] {
  const named = new Set(textsIn(context, depth));
  for (const lock of locks) for (const part of lock.split('/')) if (part.startsWith('target:')) named.add(part.slice('target:'.length));
  return known.filter((target) => named.has(target.name));
}

function textsIn(value: unknown, left: number): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null || left === 0) return [];
  return Object.values(value).flatMap((each) => textsIn(each, left - 1));
}

/** The first of these targets that only a seal may approve, if any. */
export function sealedAmong(targets: readonly KnownTarget[], sealedTags: readonly string[]): KnownTarget | undefined {
  return targets.find((target) => target.tags.some((tag) => sealedTags.includes(tag)));
}

/** What of a run keeps an agent from answering for a person: the target that has one of these tags, or a tag that its context names. */
export function keptForPersons(context: unknown, targets: readonly KnownTarget[], tags: ReadonlySet<string>): string | undefined {
  const target = targets.find((each) => each.tags.some((tag) => tags.has(tag)));
  return target?.name ?? textsIn(context, deeper).find((text) => tags.has(text));
}

type Asked = Pick<ApprovalRow, 'kind' | 'event'> & {
  workflow: string;
  targets: readonly KnownTarget[];
  sealedTags: readonly string[];
  now: number;
};

/** The standing rule that allows this, if any. */
export function ruleFor(
  rules: readonly StandingRule[],
  { kind, event, workflow, targets, sealedTags, now }: Asked,
): StandingRule | undefined {
  if (kind !== 'advance' || targets.length === 0) return undefined;
  return rules.find((rule) => {
    const fits =
      rule.workflow === workflow && (rule.event === null || rule.event === event) && rule.expiresAt > now && rule.tags.length > 0;
    return (
      fits &&
      targets.every((target) => {
        const sealed = target.tags.filter((tag) => sealedTags.includes(tag));
        return rule.tags.every((tag) => target.tags.includes(tag)) && sealed.every((tag) => rule.tags.includes(tag));
      })
    );
  });
}

/** What the approver signs of a rule. */
export function ruleText({ id, workflow, event, tags, expiresAt }: Omit<StandingRule, 'signature'>): string {
  return JSON.stringify(['capstan rule', id, workflow, event, [...tags].sort(), expiresAt]);
}
