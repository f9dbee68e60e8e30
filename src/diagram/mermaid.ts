import type { Diagram, StateBox } from './model.ts';

/** A Mermaid state diagram; the states that a run stands in have the class `current`. */
export function toMermaid({ boxes, first, arrows }: Diagram): string {
  const lines = ['stateDiagram-v2', ...(first === undefined ? [] : [`  [*] --> ${first}`]), ...boxes.flatMap((box) => boxLines(box, '  '))];
  for (const { from, to, label } of arrows) lines.push(`  ${from} --> ${to}${label === '' ? '' : ` : ${plain(label)}`}`);
  for (const box of flat(boxes)) if (box.final) lines.push(`  ${box.id} --> [*]`);
  lines.push('  classDef current fill:#1f7a5a,color:#ffffff,stroke:#0f3d2d,stroke-width:2px');
  for (const box of flat(boxes)) if (box.current && box.inner.length === 0) lines.push(`  class ${box.id} current`);
  return `${lines.join('\n')}\n`;
}

function boxLines(box: StateBox, indent: string): string[] {
  const name = `${indent}state "${plain(nameOf(box))}" as ${box.id}`;
  if (box.inner.length === 0) return [name];
  const inner = box.inner.flatMap((each, index) => [
    ...(box.parallel && index > 0 ? [`${indent}  --`] : []),
    ...boxLines(each, `${indent}  `),
  ]);
  return [`${name} {`, ...(box.first === undefined ? [] : [`${indent}  [*] --> ${box.first}`]), ...inner, `${indent}}`];
}

function nameOf({ key, title }: StateBox): string {
  return title === '' ? key : `${key}: ${title}`;
}

export function flat(boxes: readonly StateBox[]): StateBox[] {
  return boxes.flatMap((box) => [box, ...flat(box.inner)]);
}

/** Mermaid gives quotes, colons, semicolons and line ends a meaning of their own. */
function plain(text: string): string {
  return text
    .replace(/[\n\r]+/g, ' ')
    .replace(/["#;:{}<>]/g, (character) => (character === ':' ? ' -' : ' '))
    .replace(/ {2,}/g, ' ')
    .trim();
}
