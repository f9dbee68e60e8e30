/** Pictures of every registered workflow: each state is drawn once, Graphviz takes them, names cannot break out. */

import { expect, test } from 'vitest';
import { setup } from 'xstate';
import { workflows } from '../../machines/registry.ts';
import { flat, toMermaid } from '../../src/diagram/mermaid.ts';
import { diagramOf, type NodeLike } from '../../src/diagram/model.ts';
import { toSvg } from '../../src/diagram/svg.ts';

const rootOf = (machine: { root: unknown }) => machine.root as NodeLike; // as src/diagrams.ts does
function statesOf(node: NodeLike): string[] {
  return Object.values(node.states).flatMap((inner) => [inner.path.join('__').replace(/\W/g, '_'), ...statesOf(inner)]);
}

test.each(Object.values(workflows).map((workflow) => [workflow.name, workflow] as const))(
  '%s is drawn whole',
  async (_name, { machine }) => {
    const diagram = diagramOf(rootOf(machine), undefined);
    const states = statesOf(rootOf(machine));
    expect(flat(diagram.boxes).map(({ id }) => id)).toEqual(states);
    for (const { from, to } of diagram.arrows) expect(states).toEqual(expect.arrayContaining([from, to]));
    const mermaid = toMermaid(diagram);
    for (const state of states) expect(mermaid).toMatch(new RegExp(`^ +state ".+" as ${state}( \\{)?$`, 'm'));
    const svg = await toSvg(diagram);
    expect(svg).toContain('</svg>');
    for (const { id, inner } of flat(diagram.boxes)) if (inner.length === 0) expect(svg).toContain(`<title>${id}</title>`);
  },
);

const nested = setup({}).createMachine({
  id: 'n',
  initial: 'a',
  states: {
    a: { on: { go: 'p' }, meta: { title: 'Say "hi"; <b>: #1', events: { go: { confirm: 'yes' } } } },
    p: {
      type: 'parallel',
      states: {
        x: { initial: 'one', states: { one: { on: { step: 'two' } }, two: { type: 'final' } } },
        y: { initial: 'one', states: { one: { after: { soon: 'two' } }, two: { type: 'final' } } },
      },
      onDone: 'end',
    },
    end: { type: 'final' },
  },
});

test('nested and parallel states are marked where a run stands, and titles cannot break the text', async () => {
  const diagram = diagramOf(rootOf(nested), { p: { x: 'two', y: 'one' } });
  expect(
    flat(diagram.boxes)
      .filter(({ current }) => current)
      .map(({ id }) => id),
  ).toEqual(['p', 'p__x', 'p__x__two', 'p__y', 'p__y__one']);
  expect(diagram.arrows).toEqual(
    expect.arrayContaining([
      { from: 'a', to: 'p', label: 'go (approval)' },
      { from: 'p', to: 'end', label: 'all done' },
      { from: 'p__y__one', to: 'p__y__two', label: 'after soon' },
    ]),
  );
  const mermaid = toMermaid(diagram);
  expect(mermaid).toContain('state "a - Say hi b - 1" as a');
  expect(mermaid.match(/^ {2}class \w+ current$/gm)).toHaveLength(2);
  const svg = await toSvg(diagram);
  expect(svg.match(/class="node current"/g)).toHaveLength(2);
  expect(svg).not.toContain('<b>');
});
