import type { AnyMachineSnapshot } from 'xstate';
import type { SchemaLike } from './hands-port.ts';

export type EventDescription = { type: string; title: string; payload: SchemaLike; confirm?: string; secret: readonly string[] };

/** What a snapshot says of itself by the `meta` of its active states (R5, T2, B7). */
export type Description = {
  state: string;
  title: string;
  step: number | undefined;
  events: EventDescription[];
  checkpoint: string | undefined;
  releases: boolean;
  rollback: { to: string; when: 'offered' } | undefined;
  outcome: 'done' | 'failed' | undefined;
};

type Meta = {
  title?: string;
  step?: number;
  events?: Record<string, { title: string; payload: SchemaLike; confirm?: string; secret?: readonly string[] }>;
  checkpoint?: string;
  releases?: true;
  rollback?: { to: string; when: 'offered' };
  outcome?: 'done' | 'failed';
};

/** Reads the active states' meta, outermost first; the innermost wins where only one value is possible. */
export function describe(snapshot: AnyMachineSnapshot): Description {
  const metas = Object.entries(snapshot.getMeta() as Record<string, Meta>).sort(([a], [b]) => a.length - b.length);
  const out: Description = {
    state: stateText(snapshot.value),
    title: '',
    step: undefined,
    events: [],
    checkpoint: undefined,
    releases: false,
    rollback: undefined,
    outcome: undefined,
  };
  for (const [, meta] of metas) {
    out.title = meta.title ?? out.title;
    out.step = meta.step ?? out.step;
    out.checkpoint = meta.checkpoint ?? out.checkpoint;
    out.releases = meta.releases ?? out.releases;
    out.rollback = meta.rollback ?? out.rollback;
    out.outcome = meta.outcome ?? out.outcome;
    for (const [type, event] of Object.entries(meta.events ?? {})) {
      out.events.push({
        type,
        title: event.title,
        payload: event.payload,
        secret: event.secret ?? [],
        ...(event.confirm === undefined ? {} : { confirm: event.confirm }),
      });
    }
  }
  return out;
}

/** `review`, `deploying.waiting`, or `a.x, b.y` for parallel states. */
export function stateText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return '';
  return Object.entries(value)
    .map(([key, inner]) => {
      const rest = stateText(inner);
      return rest === '' ? key : `${key}.${rest}`;
    })
    .join(', ');
}

/** Plain context of a snapshot, which machines keep as JSON (P5). */
export function contextOf(snapshot: AnyMachineSnapshot): Record<string, unknown> {
  return snapshot.context as Record<string, unknown>;
}
