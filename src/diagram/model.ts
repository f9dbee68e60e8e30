/** A machine as a picture needs it: states, arrows, and where a run stands. Pure; from XState's own resolved nodes. */

/** The part of XState's StateNode that is read. */
export type NodeLike = {
  key: string;
  type: string;
  path: readonly string[];
  meta?: { title?: string; events?: Record<string, { confirm?: string }> } | undefined;
  states: Readonly<Record<string, NodeLike>>;
  initial?: { target?: readonly NodeLike[] | undefined } | undefined;
  transitions: ReadonlyMap<string, readonly ArrowLike[]>;
  always?: readonly ArrowLike[] | undefined;
};
type ArrowLike = { target?: readonly NodeLike[] | undefined; guard?: unknown };

export type StateBox = {
  /** Letters, digits and underscores only. */
  id: string;
  key: string;
  title: string;
  final: boolean;
  parallel: boolean;
  current: boolean;
  inner: StateBox[];
  /** The inner state that is entered first. */
  first: string | undefined;
};
export type Arrow = { from: string; to: string; label: string };
export type Diagram = { boxes: StateBox[]; first: string | undefined; arrows: Arrow[] };

/** `value` is the state value of a run (nested objects of state names), or nothing. */
export function diagramOf(root: NodeLike, value: unknown): Diagram {
  const active = new Set(activePaths(value, []));
  const arrows = new Map<string, Arrow>();
  const visit = (node: NodeLike): StateBox => {
    for (const arrow of arrowsOf(node)) {
      const key = `${arrow.from}>${arrow.to}`;
      const known = arrows.get(key);
      arrows.set(key, known ? { ...known, label: joined(known.label, arrow.label) } : arrow);
    }
    return {
      id: idOf(node),
      key: node.key,
      title: node.meta?.title ?? '',
      final: node.type === 'final',
      parallel: node.type === 'parallel',
      current: active.has(node.path.join('.')),
      inner: Object.values(node.states).map(visit),
      first: firstOf(node),
    };
  };
  const boxes = Object.values(root.states).map(visit);
  return { boxes, first: firstOf(root), arrows: [...arrows.values()] };
}

function firstOf(node: NodeLike): string | undefined {
  const target = node.initial?.target?.[0];
  return target && idOf(target);
}

/** Paths of every active state, outer ones too. */
function activePaths(value: unknown, above: readonly string[]): string[] {
  if (typeof value === 'string') return [[...above, value].join('.')];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [[...above, key].join('.'), ...activePaths(inner, [...above, key])]);
}

function arrowsOf(node: NodeLike): Arrow[] {
  const named = [...node.transitions].flatMap(([event, arrows]) => arrows.map((arrow) => ({ event, arrow })));
  const silent = (node.always ?? []).map((arrow) => ({ event: '', arrow }));
  return [...named, ...silent].flatMap(({ event, arrow }) =>
    (arrow.target ?? []).map((target) => ({ from: idOf(node), to: idOf(target), label: labelOf(node, event) })),
  );
}

/** What people call an event; the engine's own names say which effect ended. */
function labelOf(node: NodeLike, event: string): string {
  if (event === '') return '';
  const [, kind, id = ''] = /^xstate\.(done|error)\.actor\.(.+)$/.exec(event) ?? [];
  if (kind !== undefined) return `${id.replace(/^\d+\./, '')} ${kind === 'done' ? 'done' : 'failed'}`;
  if (event.startsWith('xstate.done.state.')) return 'all done';
  const after = /^xstate\.after\.([^.]+)\./.exec(event);
  if (after) return `after ${after[1]}`;
  return node.meta?.events?.[event]?.confirm === undefined ? event : `${event} (approval)`;
}

function joined(known: string, more: string): string {
  return known === more || known.split(' / ').includes(more) ? known : `${known} / ${more}`;
}

function idOf(node: NodeLike): string {
  return node.path.join('__').replace(/\W/g, '_');
}
