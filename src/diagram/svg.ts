/** A diagram as SVG, laid out by Graphviz (WebAssembly, loaded when the first picture is asked for). */
import type { Diagram, StateBox } from './model.ts';

/** Throws what Graphviz throws on a graph that it cannot lay out, which would be our bug. */
export async function toSvg(diagram: Diagram): Promise<string> {
  const { instance } = await import('@viz-js/viz');
  const viz = await instance();
  return viz.renderString(toDot(diagram), { format: 'svg' });
}

/** Exported for its test. */
export function toDot({ boxes, first, arrows }: Diagram): string {
  const lines = [
    'digraph {',
    'rankdir=TB; nodesep=0.35; ranksep=0.45; compound=true; fontname="Helvetica"; bgcolor="white"',
    'node [shape=box, style="rounded,filled", fillcolor="#f3f5f8", color="#9aa7b6", fontname="Helvetica", fontsize=11, margin="0.16,0.08"]',
    'edge [color="#5b6675", fontname="Helvetica", fontsize=9, fontcolor="#5b6675", arrowsize=0.7]',
    ...(first === undefined
      ? []
      : ['start [shape=circle, label="", width=0.15, fillcolor="#1d2430", color="#1d2430"]', `start -> ${quoted(entryOf(boxes, first))}`]),
    ...boxes.flatMap(boxLines),
  ];
  for (const { from, to, label } of arrows)
    lines.push(`${quoted(entryOf(boxes, from))} -> ${quoted(entryOf(boxes, to))} [label=${quoted(label)}]`);
  return `${lines.join('\n')}\n}\n`;
}

function boxLines(box: StateBox): string[] {
  const label = quoted(box.title === '' ? box.key : `${box.key}\n${box.title}`);
  if (box.inner.length > 0)
    return [
      `subgraph ${quoted(`cluster_${box.id}`)} {`,
      `label=${label}; style=rounded; color="#9aa7b6"; fontsize=11`,
      ...box.inner.flatMap(boxLines),
      '}',
    ];
  const looks = box.current
    ? ', fillcolor="#1f7a5a", fontcolor="white", color="#0f3d2d", penwidth=2, class="current"'
    : box.final
      ? ', peripheries=2'
      : '';
  return [`${quoted(box.id)} [label=${label}${looks}]`];
}

/** Graphviz draws arrows between leaves only: an arrow of an outer state starts and ends at the one entered first. */
function entryOf(boxes: readonly StateBox[], id: string): string {
  const box = find(boxes, id);
  if (!box || box.inner.length === 0) return id;
  return entryOf(box.inner, box.first ?? box.inner[0]?.id ?? id);
}

function find(boxes: readonly StateBox[], id: string): StateBox | undefined {
  for (const box of boxes) {
    const found = box.id === id ? box : find(box.inner, id);
    if (found) return found;
  }
  return undefined;
}

function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}
